"""However TCP cuts a message up, it stays the same message. Here each byte really arrives alone: the next is sent only
when palier has read the one before."""

import socket
import struct

import pytest
from harness import response, server, site, wait_for

_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, _NLMSG_ERROR = 4, 20, 1, 2
_NO_COOKIE = 0xFFFFFFFF


class Slicer:
    """Sends on one side of a loopback connection, piece by piece, as the other side reads."""

    def __init__(self, sock):
        self._socket = sock
        self._kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
        (peer, peer_port), (here, here_port) = sock.getpeername(), sock.getsockname()
        asked = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF) + struct.pack(
            "!HH16s16s", peer_port, here_port, socket.inet_aton(peer), socket.inet_aton(here)) + struct.pack(
            "=III", 0, _NO_COOKIE, _NO_COOKIE)
        self._question = struct.pack("=IHHII", 16 + len(asked), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0) + asked

    def _is_read(self) -> bool:
        """Whether the other side's receive queue is empty; a connection that is gone has none (sock_diag(7))."""
        self._kernel.send(self._question)
        answer = self._kernel.recv(4096)
        if struct.unpack_from("=IH", answer)[1] == _NLMSG_ERROR:
            return True
        unread, = struct.unpack_from("=I", answer, 16 + 4 + 48 + 4)
        return unread == 0

    def send(self, data: bytes, step: int = 1) -> None:
        with self._kernel:
            for start in range(0, len(data), step):
                try:
                    self._socket.sendall(data[start:start + step])
                except OSError:
                    return
                wait_for(self._is_read, "the other side to read", every=0)


GET = b"GET /plain HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nCookie: a=b; c=d\r\n\r\n"
PAGE = response("hello world", X_Field="value", Set_Cookie="a=b")

REQUESTS = {
    "get": GET,
    "head": b"HEAD /head HTTP/1.1\r\nHost: x\r\n\r\n",
    "empty lines first": b"\r\n\r\n" + GET,
    "length": b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world",
    "empty body": b"POST /empty HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "chunked": b"POST /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"5;extension=\"x\"\r\nhello\r\n0006\r\n world\r\n0\r\n\r\n",
    "chunked with trailers": b"PUT /trailers HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
                             b"B\r\nhello world\r\n000;last\r\nX-Sum: 42\r\nX-More:  y \r\n\r\n",
    "absolute form": b"GET http://shop.example/a/./b/../c?d=e HTTP/1.1\r\nHost: other\r\n\r\n",
    "options": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "binary body": b"POST /binary HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n\r\n\r\n\0\xff0\r\n\r\n\n",
}

RESPONSES = {
    "length": PAGE,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"5;x=y\r\nhello\r\n006\r\n world\r\n0\r\n\r\n",
    "chunked with trailers": b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                             b"B\r\nhello world\r\n0\r\nX-Sum: 42\r\nX-More: yes\r\n\r\n",
    "interim": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n" + PAGE,
    "no content": b"HTTP/1.1 204 No Content\r\nX-Field: value\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\nContent-Length: 5\r\n\r\n",
    "redirect": response(b"", "302 Found", Location="/elsewhere"),
    "no reason": b"HTTP/1.1 404\r\nContent-Length: 4\r\n\r\nnone",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "until close": b"HTTP/1.1 200 OK\r\nX-Field: value\r\n\r\nuntil the close",
    "refused: two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "refused: bare LF": b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nab",
}


@pytest.fixture
def site_of_slices(raw_backend, start_palier):
    """A backend that gives RESPONSES[name] for /name, in one piece, or in slices of the size that X-Slice asks for."""
    def handler(connection):
        while True:
            request = connection.read_request()
            answer = RESPONSES.get(request.get("X-Response", ""), PAGE)
            if "X-Slice" in request:
                Slicer(connection.socket).send(answer, int(request.get("X-Slice")))
            else:
                connection.send(answer)
            if b"HTTP/1.0" in answer or b"until the close" in answer:
                return

    backend = raw_backend(handler=handler)
    return start_palier(site([server("a", backend.address)], workers=1, pool={"retries": 0, "outlier": {"failures": 0}})), \
        backend


def meaning(request):
    """All of a request but its identifier and its chunks, whose sizes are the hop's own."""
    return (request.start_line, [field for field in request.fields if field[0] != "X-Request-Id"], request.body,
            request.trailers)


@pytest.mark.parametrize("name", REQUESTS)
def test_request_in_slices(site_of_slices, name):
    palier, backend = site_of_slices
    text = REQUESTS[name]
    method = "HEAD" if name == "head" else "GET"
    for step in (1, 7):
        with palier.connect() as client:
            client.send(text)
            whole = client.read_response(method)
            Slicer(client.socket).send(text, step)
            sliced = client.read_response(method)
            assert (sliced.start_line, sliced.fields, sliced.body) == (whole.start_line, whole.fields, whole.body)
        assert meaning(backend.requests[-1]) == meaning(backend.requests[-2])


def read_all(client):
    """Every response up to the final one, as it means to the client."""
    seen = []
    while True:
        answer = client.read_response()
        fields = [field for field in answer.fields if field[0] != "Date"]
        body = answer.body if "Server" not in answer else b"palier's own, with the request's identifier"
        seen.append((answer.start_line, fields, body, answer.trailers))
        if answer.status >= 200:
            return seen


@pytest.mark.parametrize("name", RESPONSES)
def test_response_in_slices(site_of_slices, name):
    palier, _ = site_of_slices
    head = f"GET /{name.split()[0]} HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nX-Response: {name}\r\n"
    with palier.connect() as client:
        whole = read_all(client.send(head + "\r\n"))
    for step in (1, 7):
        with palier.connect() as client:
            assert read_all(client.send(head + f"X-Slice: {step}\r\n\r\n")) == whole
    expected = 502 if name.startswith("refused") else int(RESPONSES[name].rpartition(b"HTTP/1.")[2].split()[1])
    assert int(whole[-1][0].split()[1]) == expected


def test_both_sides_in_slices(site_of_slices):
    palier, backend = site_of_slices
    text = REQUESTS["chunked with trailers"].replace(
        b"Host: x\r\n", b"Host: x\r\nX-Response: chunked with trailers\r\nX-Slice: 1\r\n")
    with palier.connect() as client:
        Slicer(client.socket).send(text)
        (line, _, body, trailers), = read_all(client)
    assert line == "HTTP/1.1 200 OK" and body == b"hello world" and trailers == [("X-Sum", "42"), ("X-More", "yes")]
    assert backend.requests[0].body == b"hello world" and ("X-Sum", "42") in backend.requests[0].trailers


def test_pipeline_in_slices(site_of_slices):
    palier, backend = site_of_slices
    texts = [REQUESTS[name] for name in ("get", "chunked", "length", "chunked with trailers", "empty body", "get")]
    for step in (1, 3, 50, 10_000):
        before = backend.served
        with palier.connect() as client:
            Slicer(client.socket).send(b"".join(texts), step)
            for _ in texts:
                assert client.read_response().body == b"hello world"
        assert [request.target for request in backend.requests[before:]] == [
            text.split()[1].decode() for text in texts]
