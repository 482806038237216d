"""One exchange over one's own socket, compared byte for byte with what the backend sends."""

import http.client
import socket

from .failure import Failure

_TIMEOUT = 20


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    client = socket.socket()
    client.settimeout(_TIMEOUT)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.bind((source, 0))
    client.connect(("127.0.0.1", port))
    return client


def check_answer(client: socket.socket, request: bytes, body: bytes) -> None:
    """Raises Failure unless the answer is 200 with exactly this body."""
    try:
        client.sendall(request)
        response = http.client.HTTPResponse(client)
        response.begin()
        got = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Failure(f"no answer: {error!r}") from error
    if response.status != 200:
        raise Failure(f"status {response.status} for {request.split(b' HTTP/')[0].decode()}")
    if got != body:
        raise Failure(f"a body of {len(got)} bytes that is not the {len(body)} bytes that the backend sent")


def check_connection(port: int, requests: list[bytes], body: bytes, closes: bool) -> None:
    """All requests on one connection, or, where they close it, each on its own."""
    try:
        client = connect(port)
        for request in requests:
            check_answer(client, request, body)
            if closes:
                if client.recv(1) != b"":
                    raise Failure("more than one answer")
                client.close()
                client = connect(port)
        client.close()
    except OSError as error:
        raise Failure(f"no connection: {error!r}") from error
