"""HTTP/1 messages as the tests see them: exact bytes, and fields in order. Deliberately naive: what a peer
sent is split at CRLF and not corrected."""

import socket
import threading
import time
from dataclasses import dataclass, field


class ConnectionEnded(Exception):
    """The peer closed or reset the connection before the message was complete."""

    def __init__(self, received: bytes, was_reset: bool):
        super().__init__(f"connection {'reset' if was_reset else 'closed'} after {received[-200:]!r}")
        self.received = received
        self.was_reset = was_reset


@dataclass
class Message:
    start_line: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    trailers: list[tuple[str, str]] = field(default_factory=list)
    raw: bytes = b""

    def all(self, name: str) -> list[str]:
        """The values of every field called `name`, whatever its case, in order."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str, default: str | None = None) -> str | None:
        """The only value of `name`; a field that comes twice fails."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else default

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    @property
    def chunked(self) -> bool:
        return "chunked" in ",".join(self.all("Transfer-Encoding")).lower()


@dataclass
class Request(Message):
    @property
    def method(self) -> str:
        return self.start_line.split(" ")[0]

    @property
    def target(self) -> str:
        return self.start_line.split(" ")[1]

    @property
    def version(self) -> str:
        return self.start_line.split(" ")[2]


@dataclass
class Response(Message):
    @property
    def version(self) -> str:
        return self.start_line.split(" ")[0]

    @property
    def status(self) -> int:
        return int(self.start_line.split(" ")[1])

    @property
    def reason(self) -> str:
        return self.start_line.split(" ", 2)[2]


class MessageReader:
    """Takes messages off a socket. Keeps every byte in `received` unless told not to."""

    def __init__(self, connection: socket.socket, record: bool = True):
        self._socket = connection
        self._buffer = bytearray()
        self._record = record
        self.received = bytearray()

    def fill(self) -> None:
        """One recv; raises ConnectionEnded at the end, TimeoutError when nothing comes."""
        try:
            data = self._socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            raise ConnectionEnded(bytes(self._buffer), True) from None
        if not data:
            raise ConnectionEnded(bytes(self._buffer), False)
        self._buffer += data
        if self._record:
            self.received += data

    def take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self.fill()
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def take_through(self, mark: bytes) -> bytes:
        start = 0
        while (at := self._buffer.find(mark, start)) < 0:
            start = max(0, len(self._buffer) - len(mark) + 1)
            self.fill()
        return self.take(at + len(mark))

    def take_buffered(self) -> bytes:
        return self.take(len(self._buffer))

    def take_rest(self) -> bytes:
        """Everything until the peer closes; a reset raises ConnectionEnded."""
        while True:
            try:
                self.fill()
            except ConnectionEnded as ended:
                if ended.was_reset:
                    raise
                data = bytes(self._buffer)
                self._buffer.clear()
                return data

    def read_head(self, into: Message) -> None:
        into.raw = self.take_through(b"\r\n\r\n")
        lines = into.raw[:-4].decode("latin-1").split("\r\n")
        into.start_line = lines[0]
        into.fields = [_field(line) for line in lines[1:]]

    def read_body(self, into: Message) -> None:
        """By Transfer-Encoding or Content-Length; none of them: no body."""
        if into.chunked:
            self._read_chunks(into)
        elif "Content-Length" in into:
            into.body = self.take(int(into.get("Content-Length")))
            into.raw += into.body

    def read_request(self) -> Request:
        request = Request()
        self.read_head(request)
        self.read_body(request)
        return request

    def read_response(self, method: str = "GET") -> Response:
        """The next response, which may be a 1xx; without a length its body lasts until the close."""
        answer = Response()
        self.read_head(answer)
        if method == "HEAD" or answer.status < 200 or answer.status in (204, 304):
            return answer
        if answer.chunked or "Content-Length" in answer:
            self.read_body(answer)
        else:
            answer.body = self.take_rest()
            answer.raw += answer.body
        return answer

    def _read_chunks(self, into: Message) -> None:
        while True:
            line = self.take_through(b"\r\n")
            size = int(line.split(b";")[0], 16)
            into.raw += line
            if size == 0:
                break
            chunk = self.take(size)
            into.raw += chunk + self.take(2)
            into.chunks.append(chunk)
        while (line := self.take_through(b"\r\n")) != b"\r\n":
            into.raw += line
            into.trailers.append(_field(line[:-2].decode("latin-1")))
        into.raw += b"\r\n"
        into.body = b"".join(into.chunks)


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip(" \t")


def read_slowly(peer, per_second: float, during: float) -> int:
    """Has `peer` (whoever has read_exactly) read at this steady pace for `during` seconds, neither of them scaled; how
    many bytes that were."""
    began, total, pause = time.monotonic(), 0, threading.Event()
    while (passed := time.monotonic() - began) < during:
        if total < passed * per_second:
            total += len(peer.read_exactly(4096))
        else:
            pause.wait(0.01)
    return total


def response(body: bytes | str = b"", status: str = "200 OK", **fields: str) -> bytes:
    """The bytes of a response with Content-Length; `fields` by keyword, '_' for '-' (Content_Type="text/plain")."""
    payload = body.encode() if isinstance(body, str) else body
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(payload)}"]
    head += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1") + payload
