"""One client connection of the benchmark's own, each answer compared byte for byte with what the backend sends."""

import http.client
import socket
import ssl

from .certificates import DEFAULT_NAME
from .failure import Failure
from .http2 import Http2Connection
from .protocol import Protocol
from .requests import path_of

_TIMEOUT = 20


def _tls(alpn: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if alpn is not None:
        context.set_alpn_protocols([alpn])
    return context


# Without ALPN, as wrk: a server then speaks HTTP/1.1.
_CONTEXTS = {Protocol.HTTPS: _tls(None), Protocol.HTTP2: _tls("h2")}


class Client:
    """A context manager. Opened by the constructor, handshakes included; raises OSError."""

    def __init__(self, protocol: Protocol, port: int, source: str = "127.0.0.1", name: str = DEFAULT_NAME):
        self._socket = socket.socket()
        try:
            self._socket.settimeout(_TIMEOUT)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.bind((source, 0))
            self._socket.connect(("127.0.0.1", port))
            if protocol.secure:
                self._socket = _CONTEXTS[protocol].wrap_socket(self._socket, server_hostname=name)
            self._http2 = self._begin_http2() if protocol is Protocol.HTTP2 else None
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self._socket.close()

    def certificate(self) -> bytes:
        """The server's, in DER."""
        return self._socket.getpeercert(binary_form=True) or b""

    def check_answer(self, request: bytes, body: bytes) -> None:
        """Raises Failure unless the answer is 200 with exactly this body."""
        try:
            status, got = self._http2.get(path_of(request)) if self._http2 else self._exchange(request)
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"no answer: {error!r}") from error
        if status != 200:
            raise Failure(f"status {status} for {request.split(b' HTTP/')[0].decode()}")
        if got != body:
            raise Failure(f"a body of {len(got)} bytes that is not the {len(body)} bytes that the backend sent")

    def check_end(self) -> None:
        """Raises Failure unless the server has nothing more to say."""
        if self._socket.recv(1) != b"":
            raise Failure("more than one answer")

    def _exchange(self, request: bytes) -> tuple[int, bytes]:
        self._socket.sendall(request)
        response = http.client.HTTPResponse(self._socket)
        response.begin()
        return response.status, response.read()

    def _begin_http2(self) -> Http2Connection:
        if self._socket.selected_alpn_protocol() != "h2":
            raise OSError("the server did not choose h2")
        return Http2Connection(self._socket)


def check_connection(protocol: Protocol, port: int, requests: list[bytes], body: bytes, closes: bool) -> None:
    """All requests on one connection, or, where they close it, each on its own."""
    try:
        if not closes:
            with Client(protocol, port) as client:
                for request in requests:
                    client.check_answer(request, body)
            return
        for request in requests:
            with Client(protocol, port) as client:
                client.check_answer(request, body)
                client.check_end()
    except OSError as error:
        raise Failure(f"no connection: {error!r}") from error
