"""A client that says exactly the bytes it is told to say."""

import select
import socket
import struct

from .environment import seconds
from .messages import ConnectionEnded, MessageReader, Response


class RawClient:
    """One TCP connection. Reads fail after `timeout` seconds (scaled) without a byte."""

    def __init__(self, port: int, host: str = "127.0.0.1", timeout: float = 10.0, receive_buffer: int | None = None,
                 source: str | None = None):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(seconds(timeout))
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = MessageReader(self.socket, record=False)

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def send(self, data: bytes | str) -> "RawClient":
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)
        return self

    def send_bytewise(self, data: bytes | str) -> "RawClient":
        """One send for each byte."""
        for byte in data.encode("latin-1") if isinstance(data, str) else data:
            self.socket.sendall(bytes([byte]))
        return self

    def half_close(self) -> "RawClient":
        """No more bytes from us; the answer is still read."""
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def read_response(self, method: str = "GET") -> Response:
        """The next response, 1xx included; raises ConnectionEnded when it does not come whole."""
        return self._reader.read_response(method)

    def read_head(self) -> Response:
        """Only the head of the next response."""
        answer = Response()
        self._reader.read_head(answer)
        return answer

    def read_exactly(self, count: int) -> bytes:
        return self._reader.take(count)

    def take_buffered(self) -> bytes:
        """What has been received and not been asked for, so that a test may go on with the bare socket."""
        return self._reader.take_buffered()

    def read_until_close(self) -> bytes:
        """All bytes until the peer closes in good order."""
        return self._reader.take_rest()

    def read_whatever(self) -> bytes:
        """All bytes until the peer closes or resets."""
        try:
            return self._reader.take_rest()
        except ConnectionEnded as ended:
            return ended.received

    def has_bytes(self) -> bool:
        """Whether the peer has said something that was not read yet, its close included. Does not wait."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def is_closed(self) -> bool:
        """Whether the peer has closed by now, with nothing left to read. Does not wait."""
        patience = self.socket.gettimeout()
        self.socket.setblocking(False)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.socket.settimeout(patience)

    def request(self, method: str = "GET", target: str = "/", body: bytes | None = None, **fields: str) -> Response:
        """A whole well-formed exchange on this connection; `fields` by keyword, '_' for '-'."""
        head = [f"{method} {target} HTTP/1.1", f"Host: {fields.pop('Host', 'test.example')}"]
        if body is not None:
            head.append(f"Content-Length: {len(body)}")
        head += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        self.send("\r\n".join(head) + "\r\n\r\n")
        if body:
            self.send(body)
        return self.read_response(method)

    def reset(self) -> None:
        """Ends the connection with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()
