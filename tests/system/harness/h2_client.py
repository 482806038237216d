"""A client of HTTP/2 that keeps every rule (python3-h2 sees to that, for both sides), over plain TCP with prior
knowledge or over TLS with ALPN. See h2_raw for one that does not.
"""

import contextlib
import socket
import ssl
import time
from typing import Callable

import h2.config
import h2.connection
import h2.events
import h2.settings
import hyperframe.frame

from .config import site
from .environment import seconds
from .h2_frames import Fields, H2Error, H2Stream, error_of, regular, request_fields
from .ports import free_port


class H2Peer:
    """One connection, and what the server has said on it. Whoever waits reads."""

    def __init__(self, port: int, tls: ssl.SSLContext | None, name: str, receive_buffer: int | None):
        self.socket = socket.socket()
        self.socket.settimeout(seconds(10))
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=name)
            assert self.socket.selected_alpn_protocol() == "h2", self.socket.selected_alpn_protocol()
        self.streams: dict[int, H2Stream] = {}
        self.goaways: list[tuple[H2Error, int]] = []  # error and last stream
        self.closed = False
        self.was_reset = False
        self.next_id = 1

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes):
        """Sends all of it; a socket that takes nothing for long raises TimeoutError."""
        self.socket.settimeout(seconds(10))
        self.socket.sendall(data)
        return self

    def send_bytewise(self, data: bytes):
        """One send for each byte."""
        for byte in data:
            self.socket.sendall(bytes([byte]))
        return self

    def poll(self) -> bool:
        """Takes what has come already; whether there was anything."""
        return self._receive(0)

    def wait(self, condition: Callable[[], object], what: str, timeout: float = 10.0):
        """Reads until `condition()` is true; fails when the connection ends before, or after `timeout` (scaled)."""
        deadline = time.monotonic() + seconds(timeout)
        while not (value := condition()):
            left = deadline - time.monotonic()
            assert left > 0, f"waited {seconds(timeout):.1f} s in vain for {what}; {self.story()}"
            assert not self.closed, f"the connection ended before {what}; {self.story()}"
            self._receive(min(left, 0.1))
        return value

    def wait_closed(self, timeout: float = 10.0) -> None:
        self.wait(lambda: self.closed, "the end of the connection", timeout)

    def wait_goaway(self, timeout: float = 10.0) -> H2Error:
        """The error of the last GOAWAY, once the connection has ended."""
        self.wait_closed(timeout)
        assert self.goaways, f"closed without GOAWAY; {self.story()}"
        return self.goaways[-1][0]

    def finish(self, stream: H2Stream, timeout: float = 10.0) -> H2Stream:
        """The stream, once it is complete; a reset fails."""
        self.wait(lambda: stream.over, f"the end of stream {stream.id}", timeout)
        assert stream.ended and stream.status is not None, f"{self.story()}"
        return stream

    def wait_reset(self, stream: H2Stream, timeout: float = 10.0) -> H2Error:
        """With which error the server has reset `stream`."""
        self.wait(lambda: stream.reset is not None, f"the reset of stream {stream.id}", timeout)
        return stream.reset

    def story(self) -> str:
        streams = [(s.id, s.status, s.size, "ended" if s.ended else s.reset) for s in self.streams.values()][-5:]
        return f"GOAWAY {self.goaways}, closed {self.closed}, streams {streams}"

    def _receive(self, timeout: float) -> bool:
        self.socket.settimeout(timeout)
        try:
            data = self.socket.recv(1 << 18)
        except (BlockingIOError, TimeoutError, ssl.SSLWantReadError):
            return False
        except (ConnectionError, ssl.SSLError):
            self.closed = self.was_reset = True
            return False
        if data:
            self._take(data)
        else:
            self.closed = True
        return bool(data)

    def _take(self, data: bytes) -> None:
        raise NotImplementedError

    def new_stream(self, keep: bool = True, held: bool = False) -> H2Stream:
        """Takes the next number and notes what comes on it; says nothing yet."""
        stream = self.streams[self.next_id] = H2Stream(self.next_id, keep=keep, held=held)
        self.next_id += 2
        return stream


class H2Client(H2Peer):
    """A client that keeps the rules, and fails when palier does not."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None, name: str = "test.example",
                 settings: dict[int, int] | None = None):
        super().__init__(port, tls, name, None)
        self.scheme, self.name = "http" if tls is None else "https", name
        self.pings_answered = 0
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="latin-1"))
        # It takes nothing after GOAWAY, where RFC 9113 section 6.8 lets the streams in flight finish.
        self.h2._frame_dispatch_table[hyperframe.frame.GoAwayFrame] = self._take_goaway
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.ENABLE_PUSH: 0, **(settings or {})})
        self.h2.increment_flow_control_window(2**31 - 1 - 65535)
        self._flush()

    def start(self, method: str = "GET", path: str = "/", fields: Fields = (), end: bool = True, keep: bool = True,
              held: bool = False, authority: str | None = None) -> H2Stream:
        """Sends a request's head; `end`: nothing follows. `held`: its answer is not acknowledged."""
        stream = self.new_stream(keep, held)
        head = request_fields(method, path, *fields, scheme=self.scheme, authority=authority or self.name)
        self.h2.send_headers(stream.id, head, end_stream=end)
        self._flush()
        return stream

    def send_body(self, stream: H2Stream, data: bytes, end: bool = False, timeout: float = 10.0) -> None:
        """Sends as the windows allow; fails when they stay shut for `timeout`."""
        view = memoryview(data)
        while len(view) > 0:
            self.wait(lambda: self.window(stream) > 0 or stream.over, f"a window on stream {stream.id}", timeout)
            if stream.over:
                return
            size = min(len(view), self.window(stream), self.h2.max_outbound_frame_size)
            self.h2.send_data(stream.id, bytes(view[:size]))
            self._flush()
            view = view[size:]
        if end:
            self.h2.end_stream(stream.id)
            self._flush()

    def window(self, stream: H2Stream) -> int:
        return self.h2.local_flow_control_window(stream.id)

    def send_trailers(self, stream: H2Stream, fields: Fields) -> None:
        self.h2.send_headers(stream.id, fields, end_stream=True)
        self._flush()

    def cancel(self, stream: H2Stream, error: int = H2Error.CANCEL) -> None:
        self.h2.reset_stream(stream.id, error)
        self._flush()

    def release(self, stream: H2Stream) -> None:
        """Acknowledges what was held back."""
        stream.held = False
        self.h2.increment_flow_control_window(1 << 30, stream.id)
        self._flush()

    def request(self, method: str = "GET", path: str = "/", body: bytes | None = None, fields: Fields = (),
                trailers: Fields = (), timeout: float = 10.0, **options) -> H2Stream:
        """A whole exchange; a body has no content-length unless `fields` say one."""
        stream = self.start(method, path, fields, end=body is None and not trailers, **options)
        if body is not None:
            self.send_body(stream, body, end=not trailers)
        if trailers:
            self.send_trailers(stream, list(trailers))
        return self.finish(stream, timeout)

    def _flush(self) -> None:
        if data := self.h2.data_to_send():
            self.send(data)

    def _take(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            self._note(event)
        try:
            self._flush()
        except ConnectionError:
            pass  # it may have closed by now; the next read tells

    def _take_goaway(self, goaway) -> tuple[list, list]:
        self.goaways.append((error_of(goaway.error_code), goaway.last_stream_id))
        return [], []

    def _note(self, event) -> None:
        stream = self.streams.get(getattr(event, "stream_id", None) or 0)
        match event:
            case h2.events.ResponseReceived():
                stream.status, stream.fields = int(dict(event.headers)[":status"]), regular(event.headers)
            case h2.events.InformationalResponseReceived():
                stream.informational.append((int(dict(event.headers)[":status"]), regular(event.headers)))
            case h2.events.DataReceived():
                stream.take_data(event.data)
                if not stream.held and event.flow_controlled_length > 0 and not stream.over:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, stream.id)
            case h2.events.TrailersReceived():
                stream.trailers = list(event.headers)
            case h2.events.StreamEnded():
                stream.ended = True
            case h2.events.StreamReset(remote_reset=True):
                stream.reset = error_of(event.error_code)
            case h2.events.PingAckReceived():
                self.pings_answered += 1


def h2_site(servers: list[dict], *, workers: int = 1, **keys) -> dict:
    """A site() that takes HTTP/2 with prior knowledge. One worker, so that every client of a test meets the others."""
    listener = {"name": "http", "address": f"127.0.0.1:{free_port()}", "http2": True}
    return site(servers, workers=workers, **{"listener": [listener], **keys})


@contextlib.contextmanager
def bystander(port: int, path: str = "/bystander"):
    """Another client, whose connection is served before and after what happens in between."""
    with H2Client(port) as other:
        assert other.request(path=path).status == 200
        yield other
        assert other.request(path=path).status == 200, other.story()
        assert not other.goaways
