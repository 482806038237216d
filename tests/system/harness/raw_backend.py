"""Backends that do exactly what a test tells them: answer given bytes, cut, stall, dribble, reset."""

import contextlib
import json
import socket
import ssl
import struct
import threading
import traceback
from typing import Callable

from .environment import seconds
from .messages import ConnectionEnded, MessageReader, Request, response
from .ports import free_port
from .waiting import wait_for


class BackendConnection:
    """One accepted connection, given to a handler in a thread of its own."""

    def __init__(self, backend: "RawBackend", accepted: socket.socket, number: int):
        self.backend = backend
        self.number = number  # 0 for the first connection that the backend accepted
        self.socket = accepted
        self.socket.settimeout(seconds(30))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = MessageReader(accepted)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """The server's side of a handshake; fails as Python's ssl does."""
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self._reader = MessageReader(self.socket)

    @property
    def received(self) -> bytes:
        """Every byte that came, framing included."""
        return bytes(self._reader.received)

    def read_head(self) -> Request:
        """The next request without its body."""
        request = Request()
        self._reader.read_head(request)
        return request

    def read_body(self, request: Request) -> Request:
        self._reader.read_body(request)
        return request

    def read_request(self) -> Request:
        """The next request, also kept in the backend's list."""
        request = self._reader.read_request()
        self.backend._note(request)
        return request

    def read_exactly(self, count: int) -> bytes:
        return self._reader.take(count)

    def read_through(self, mark: bytes) -> bytes:
        return self._reader.take_through(mark)

    def read_until_close(self) -> bytes:
        """All bytes until the peer closes or resets."""
        try:
            return self._reader.take_rest()
        except ConnectionEnded as ended:
            return ended.received

    def send(self, data: bytes | str) -> None:
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def send_bytewise(self, data: bytes) -> None:
        """One send for each byte."""
        for byte in data:
            self.socket.sendall(bytes([byte]))

    def wait(self, event: threading.Event) -> None:
        """Stalls until `event`; ends the handler when the backend stops first."""
        while not event.wait(0.05):
            if self.backend.stopping.is_set():
                raise ConnectionEnded(b"", False)

    def stall(self) -> None:
        """Says nothing more until the peer closes."""
        self.read_until_close()

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Ends the connection with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """With TLS this is a truncation: Python's ssl says no close_notify by itself."""
        self.socket.close()

    def close_with_notify(self) -> None:
        """As TLS wants it."""
        try:
            self.socket.unwrap()
        except OSError:
            pass  # the peer need not answer with its own
        self.close()


Handler = Callable[[BackendConnection], None]
Answer = bytes | Callable[[Request], bytes]


def echo(request: Request) -> bytes:
    """What was asked, as JSON."""
    seen = {"line": request.start_line, "fields": request.fields, "body": request.body.decode("latin-1"),
            "trailers": request.trailers}
    return response(json.dumps(seen), Content_Type="application/json")


class RawBackend:
    """Listens on a free loopback port. Either `answer` (bytes, or a function of the request) is given to every
    request of a keep-alive connection, or `handler` runs each connection from its accept to its end.

    `name`, when given, is the body of every answer. `tls`: every connection begins with a handshake."""

    def __init__(self, answer: Answer | None = None, handler: Handler | None = None, name: str | None = None,
                 host: str = "127.0.0.1", port: int | None = None, tls: ssl.SSLContext | None = None):
        self.host, self.port = host, port or free_port()
        if name is not None:
            answer = response(name)
        self._answer: Answer = answer if answer is not None else echo
        self._handler = handler or self._serve
        self._tls = tls
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.connections: list[BackendConnection] = []
        self.requests: list[Request] = []
        self.errors: list[str] = []
        self.handshakes: list[bool] = []  # of each that succeeded, whether it resumed a session
        self.refused_handshakes: list[str] = []  # of each that failed, why
        self.most_at_once = 0  # requests being answered at the same time, with `answer`
        self._answering = 0
        self.stopping = threading.Event()
        self.start_listening()

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def accepted(self) -> int:
        """How many connections were accepted so far."""
        with self._lock:
            return len(self.connections)

    @property
    def served(self) -> int:
        """How many requests were read whole so far."""
        with self._lock:
            return len(self.requests)

    @property
    def received(self) -> bytes:
        """All bytes of all connections, in order of accept."""
        with self._lock:
            return b"".join(connection.received for connection in self.connections)

    def wait_served(self, count: int) -> Request:
        """The last request, once `count` have come."""
        wait_for(lambda: self.served >= count, f"{count} requests at {self.address}")
        with self._lock:
            return self.requests[count - 1]

    def start_listening(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.socket(family)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self.host, self.port))
        self._listener.listen(1024)
        self._acceptor = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._acceptor.start()

    def stop_listening(self) -> None:
        """New connections are refused; those that exist go on."""
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._acceptor.join()
            self._listener.close()

    def close_connections(self) -> None:
        """Closes what was accepted; new connections are still welcome."""
        with self._lock:
            connections = list(self.connections)
        for connection in connections:
            try:
                socket.socket.shutdown(connection.socket, socket.SHUT_RDWR)  # past Python's ssl, which would forget TLS
            except OSError:
                pass

    def go_down(self) -> None:
        """As if the machine's web server had been killed."""
        self.stop_listening()
        self.close_connections()

    def come_back(self) -> None:
        self.start_listening()

    def stop(self) -> None:
        """Ends everything; called by the fixture."""
        self.stopping.set()
        self.go_down()
        for thread in self._threads:
            thread.join(seconds(10))
            assert not thread.is_alive(), "a backend handler does not end"
        for connection in self.connections:
            connection.socket.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                connection = BackendConnection(self, accepted, len(self.connections))
                self.connections.append(connection)
                thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
                self._threads.append(thread)
            thread.start()

    def _run(self, connection: BackendConnection) -> None:
        try:
            if self._tls is None or self._shake_hands(connection):
                self._handler(connection)
        except (ConnectionEnded, ConnectionError):
            pass  # the peer's right; what it means is for the test to say
        except OSError:
            if not self.stopping.is_set() and connection.socket.fileno() >= 0:
                self.errors.append(traceback.format_exc())
        except Exception:
            self.errors.append(traceback.format_exc())
        finally:
            connection.close()

    def _shake_hands(self, connection: BackendConnection) -> bool:
        try:
            connection.start_tls(self._tls)
        except OSError as failure:
            with self._lock:
                self.refused_handshakes.append(str(failure))
            return False
        with self._lock:
            self.handshakes.append(connection.socket.session_reused)
        return True

    def _serve(self, connection: BackendConnection) -> None:
        while True:
            request = connection.read_request()
            with self._count_answering():
                answer = self._answer(request) if callable(self._answer) else self._answer
            if request.method == "HEAD":
                answer = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            connection.send(answer)

    @contextlib.contextmanager
    def _count_answering(self):
        with self._lock:
            self._answering += 1
            self.most_at_once = max(self.most_at_once, self._answering)
        try:
            yield
        finally:
            with self._lock:
                self._answering -= 1

    def _note(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)


class FullBacklog:
    """An address where connecting neither succeeds nor fails: its queue is full and nobody accepts."""

    def __init__(self):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", free_port()))
        self._listener.listen(0)
        self.port = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._fillers: list[socket.socket] = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def stop(self) -> None:
        for filler in self._fillers:
            filler.close()
        self._listener.close()
