"""HTTP/2 requests that must not become HTTP/1 (RFC 9113 sections 8.1 to 8.3, 10.3): the stream is reset, its
connection and everybody else's go on, and the backend gets nothing of them."""

import pytest
from harness import server
from harness.h2_client import bystander, h2_site
from harness.h2_frames import CONTINUATION, END_HEADERS, H2Error, frame, request_fields
from harness.h2_raw import RawH2Client

GET = dict(request_fields("GET", "/refused"))


def fields(*more, without: str | None = None, **pseudo) -> list:
    """A GET with pseudo-headers replaced (`path="…"`) or left out, and `more` fields."""
    head = [(name, pseudo.get(name[1:], value)) for name, value in GET.items() if name != without]
    return head + list(more)


PSEUDO_HEADERS = {
    "no method": fields(without=":method"),
    "no scheme": fields(without=":scheme"),
    "no path": fields(without=":path"),
    "no authority, no host": fields(without=":authority"),
    "two methods": [(":method", "GET"), *fields()],
    "two schemes": [(":scheme", "http"), *fields()],
    "two paths": [(":path", "/refused"), *fields()],
    "two authorities": [(":authority", "test.example"), *fields()],
    "unknown": fields((":evil", "1")),
    "a response's": fields((":status", "200")),
    "behind a field": [("x-first", "1"), *fields()],
    "one behind a field": [*fields(("x-first", "1"), without=":path"), (":path", "/refused")],
    "protocol without CONNECT": fields((":protocol", "websocket")),
    "upper case": [*fields(without=":path"), (":Path", "/refused")],
    "empty method": fields(method=""),
    "method with a space": fields(method="GET /evil"),
    "method with a line": fields(method="GET / HTTP/1.1\r\nHost: x\r\n\r\nGET"),
    "method with a colon": fields(method="GE:T"),
    "empty path": fields(path=""),
    "relative path": fields(path="refused"),
    "relative path with dots": fields(path="../refused"),
    "absolute URL as a path": fields(path="http://test.example/refused"),
    "asterisk for GET": fields(path="*"),
    "path with a space": fields(path="/refused HTTP/1.1"),
    "path with a tab": fields(path="/refused\tx"),
    "path with CR": fields(path="/refused\rx"),
    "path with LF": fields(path="/refused\nx"),
    "path with NUL": fields(path="/refused\0x"),
    "path with DEL": fields(path="/refused\x7fx"),
    "path that begins with a space": fields(path=" /refused"),
    "path that ends with a space": fields(path="/refused "),
    "empty scheme": fields(scheme=""),
    "scheme ftp": fields(scheme="ftp"),
    "scheme javascript": fields(scheme="javascript"),
    "scheme with a line": fields(scheme="http\r\nx-evil: 1"),
    "scheme as a URL": fields(scheme="http://evil.example/?"),
    "empty authority": fields(authority=""),
    "authority with a user": fields(authority="user@test.example"),
    "authority with a path": fields(authority="test.example/evil"),
    "authority with a space": fields(authority="test.example evil"),
    "authority with a list": fields(authority="test.example,evil.example"),
    "authority with a line": fields(authority="test.example\r\nx-evil: 1"),
    "authority with NUL": fields(authority="test.example\0"),
    "authority with a port too high": fields(authority="test.example:65536"),
    "authority with a port in letters": fields(authority="test.example:http"),
    "authority with half an address": fields(authority="[::1"),
    "another host": fields(("host", "evil.example")),
    "another port": fields(("host", "test.example:81")),
    "two hosts": fields(("host", "test.example"), ("host", "test.example")),
    "two hosts without authority": fields(("host", "test.example"), ("host", "evil.example"), without=":authority"),
    "bad host without authority": fields(("host", "test.example/evil"), without=":authority"),
    "empty host": fields(("host", "")),
}

NAMES = {name: fields((text, "1")) for name, text in {
    "upper case": "X-Upper", "one upper letter": "x-uppEr", "empty": "", "space": "x evil",
    "space at the end": "x-evil ", "tab": "x\tevil", "CR": "x\revil", "LF": "x\nevil", "CRLF": "x: 1\r\nx-evil",
    "NUL": "x\0evil", "DEL": "x\x7fevil",
    "colon": "x:evil", "colon at the end": "x-evil:", "beyond ASCII": b"x\xe9vil", "slash": "x/evil", "at": "x@evil",
    "quote": 'x"evil', "parenthesis": "x(evil)", "brace": "x{evil}",
}.items()}

VALUES = {name: fields(("x-value", text)) for name, text in {
    "CR": "a\rb", "LF": "a\nb", "CRLF": "a\r\nx-evil: 1", "CRLF CRLF": "a\r\n\r\nGET /evil HTTP/1.1\r\nhost: x\r\n\r\n",
    "NUL": "a\0b", "only NUL": "\0", "LF at the end": "a\n", "CR at the end": "a\r", "LF at the beginning": "\na",
    "space at the beginning": " a", "space at the end": "a ", "tab at the beginning": "\ta", "tab at the end": "a\t",
    "only a space": " ", "DEL": "a\x7fb", "escape": "a\x1bb",
}.items()}

CONNECTION_FIELDS = {f"{name}: {value}": fields((name, value)) for name, value in [
    ("connection", "close"), ("connection", "keep-alive"), ("connection", "x-other"), ("keep-alive", "timeout=5"),
    ("proxy-connection", "keep-alive"), ("transfer-encoding", "chunked"), ("transfer-encoding", "identity"),
    ("transfer-encoding", "gzip, chunked"), ("upgrade", "websocket"), ("upgrade", "h2c"), ("te", "gzip"),
    ("te", "trailers, deflate"), ("te", "deflate;q=0.5"),
]}

LENGTHS = {f"content-length {', '.join(map(repr, values))}":
           [*request_fields("POST", "/refused"), *(("content-length", value) for value in values)] for values in [
               ["5"], ["abc"], ["-5"], ["+5"], ["5, 5"], ["0x5"], [""], ["5 5"], ["5.0"], ["99999999999999999999"],
               ["18446744073709551616"], ["0", "0"], ["0", "5"], ["0", ""], ["0, 0"], ["1e1"]]}

HEADS = {f"{kind}: {name}": head for kind, heads in [
    ("pseudo-header", PSEUDO_HEADERS), ("name", NAMES), ("value", VALUES), ("connection", CONNECTION_FIELDS),
    ("length", LENGTHS)] for name, head in heads.items()}


@pytest.fixture
def watched(raw_backend, start_palier):
    """(palier, backend): every byte that reaches the backend is on record."""
    backend = raw_backend()
    return start_palier(h2_site([server("a", backend.address)])), backend


def wrongs_of(cases: dict, try_one) -> list[str]:
    """What was wrong with which case; `try_one(case)` asserts."""
    wrongs = []
    for name, case in cases.items():
        try:
            try_one(case)
        except (AssertionError, ConnectionError) as wrong:
            wrongs.append(f"{name}: {wrong}".splitlines()[0][:300])
    return wrongs


@pytest.mark.parametrize("delivery", ["whole", "bytewise"])
def test_bad_heads_reset_their_stream(watched, delivery):
    palier, backend = watched

    def try_one(head) -> None:
        with RawH2Client(palier.port) as client:
            send = client.send if delivery == "whole" else client.send_bytewise
            stream = client.new_stream()
            send(client.headers_frame(1, head))
            client.wait(lambda: stream.over or client.closed, "the refusal")
            assert stream.reset == H2Error.PROTOCOL_ERROR and stream.status is None, client.story()
            assert client.get("/next").status == 200, "the connection goes on"
            assert not client.goaways

    with bystander(palier.port):
        wrongs = wrongs_of(HEADS, try_one)
    assert not wrongs, "\n".join(wrongs)
    assert {request.target for request in backend.requests} == {"/bystander", "/next"}
    assert b"refused" not in backend.received and b"evil" not in backend.received
    assert backend.served == len(HEADS) + 2


def test_many_bad_heads_on_one_connection(watched):
    """A good request between two bad ones, all in one piece."""
    palier, backend = watched
    heads = list(HEADS.items())[::2][:40]
    with bystander(palier.port), RawH2Client(palier.port) as client:
        streams, message = [], b""
        for name, head in heads:
            for text in (head, request_fields("GET", "/next")):
                streams.append(client.new_stream())
                message += client.headers_frame(streams[-1].id, text)
        client.send(message)
        client.wait(lambda: all(stream.over for stream in streams), "all streams")
        for (name, _), bad in zip(heads, streams[::2], strict=True):
            assert bad.reset == H2Error.PROTOCOL_ERROR, name
        assert {good.status for good in streams[1::2]} == {200}
        assert not client.goaways
    assert {request.target for request in backend.requests} == {"/bystander", "/next"}


SMUGGLED = "GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("head", [
    [*request_fields("POST", "/front"), ("transfer-encoding", "chunked")],
    [*request_fields("POST", "/front"), ("transfer-encoding", "chunked"), ("content-length", str(5 + len(SMUGGLED)))],
    [*request_fields("POST", "/front"), ("Transfer-Encoding", "chunked")],
    [*request_fields("POST", "/front"), ("transfer-encoding ", "chunked")],
    [*request_fields("POST", "/front"), ("x-front", "1\r\nTransfer-Encoding: chunked")],
    [*request_fields("POST", "/front"), ("x-front: 1\r\nTransfer-Encoding", "chunked")],
    [*request_fields("POST", "/front HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX-Rest: x")],
    [*request_fields("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX-Rest: x", "/front")],
    [*request_fields("POST", "/front", authority="x\r\nTransfer-Encoding: chunked")],
    [*request_fields("POST", "/front", scheme="http\r\nTransfer-Encoding: chunked")],
    [*request_fields("POST", "/front"), ("content-length", "0")],
    [*request_fields("POST", "/front"), ("content-length", "4")],
    [*request_fields("POST", "/front"), ("content-length", "0\r\n\r\n" + SMUGGLED)],
    [*request_fields("POST", "/front"), ("connection", "content-length"), ("content-length", "0")],
], ids=["coding", "coding and length", "upper-case coding", "coding and a space", "coding in a value",
        "coding in a name", "coding in the path", "coding in the method", "coding in the authority",
        "coding in the scheme", "length 0",
        "length too short", "request in the length", "length named by Connection"])
def test_smuggled_requests_reach_nobody(watched, head):
    """The classics of HTTP/2 to HTTP/1: a backend that saw any of these would see two requests."""
    palier, backend = watched
    with bystander(palier.port), RawH2Client(palier.port) as client:
        body = ("0\r\n\r\n" + SMUGGLED).encode()
        stream = client.new_stream()
        client.send(client.headers_frame(1, head, end=False) + frame(0, 1, 1, body))
        assert client.wait_reset(stream) == H2Error.PROTOCOL_ERROR
        assert stream.status is None
        assert client.get("/next").status == 200
    assert [request.target for request in backend.requests] == ["/bystander", "/next", "/bystander"]
    assert b"evil" not in backend.received and b"hunked" not in backend.received


def test_method_and_expectation_that_are_not_served_are_answered(watched):
    palier, backend = watched
    cases = {405: [(":method", "CONNECT"), (":authority", "test.example:443")],
             417: request_fields("POST", "/x", ("expect", "200-maybe"))}
    with bystander(palier.port), RawH2Client(palier.port) as client:
        for status, head in cases.items():
            stream = client.open(head)
            client.wait(lambda: stream.over, "an answer")
            assert stream.status == status, client.story()
        assert client.get("/next").status == 200
    assert [request.target for request in backend.requests] == ["/bystander", "/next", "/bystander"]


@pytest.mark.parametrize("path", ["/..", "/a/../../b", "/%2e%2e/etc", "/a%00b", "/a\\b", "/a%", "/a%zz"])
def test_paths_that_mean_two_things_are_refused(watched, path):
    palier, backend = watched
    with RawH2Client(palier.port) as client:
        stream = client.open(request_fields("GET", path))
        client.wait(lambda: stream.over, "a refusal")
        assert stream.status == 400 or stream.reset == H2Error.PROTOCOL_ERROR, client.story()
        assert client.get("/next").status == 200
    assert [request.target for request in backend.requests] == ["/next"]


def test_authority_and_host_that_agree_are_one_host(watched):
    palier, backend = watched
    heads = [fields(), fields(("host", "test.example")), fields(("host", "TEST.example")),
             fields(("host", "test.example"), without=":authority")]
    with RawH2Client(palier.port) as client:
        for head in heads:
            assert client.finish(client.open(head)).status == 200
    assert [request.get("Host").lower() for request in backend.requests] == ["test.example"] * 4


BLOCK = b"\x82\x86\x84\x41\x0ctest.example"  # GET http / test.example without an encoder's state

CONNECTION_ERRORS = {
    "HEADERS on stream 0": frame(1, 5, 0, BLOCK),
    "HEADERS on an even stream": frame(1, 5, 2, BLOCK),
    "DATA on stream 0": frame(0, 1, 0, b"x"),
    "DATA on an idle stream": frame(0, 1, 9, b"x"),
    "RST_STREAM on an idle stream": frame(3, 0, 9, bytes(4)),
    "RST_STREAM on stream 0": frame(3, 0, 0, bytes(4)),
    "RST_STREAM of 3 bytes": frame(1, 5, 1, BLOCK) + frame(3, 0, 1, bytes(3)),
    "WINDOW_UPDATE on an idle stream": frame(8, 0, 9, b"\0\0\0\1"),
    "WINDOW_UPDATE of 0": frame(8, 0, 0, bytes(4)),
    "WINDOW_UPDATE of 3 bytes": frame(8, 0, 0, bytes(3)),
    "window beyond 2^31": frame(8, 0, 0, b"\x7f\xff\xff\xff") * 2,
    "SETTINGS on a stream": frame(4, 0, 1),
    "SETTINGS of 5 bytes": frame(4, 0, 0, bytes(5)),
    "SETTINGS acknowledged with a payload": frame(4, 1, 0, bytes(6)),
    "ENABLE_PUSH of 2": frame(4, 0, 0, b"\0\2\0\0\0\2"),
    "initial window beyond 2^31": frame(4, 0, 0, b"\0\4\x80\0\0\0"),
    "frame size of 0": frame(4, 0, 0, b"\0\5\0\0\0\0"),
    "frame size beyond 2^24": frame(4, 0, 0, b"\0\5\x01\0\0\0"),
    "PING on a stream": frame(6, 0, 1, bytes(8)),
    "PING of 7 bytes": frame(6, 0, 0, bytes(7)),
    "GOAWAY on a stream": frame(7, 0, 1, bytes(8)),
    "PUSH_PROMISE": frame(5, 4, 1, b"\0\0\0\2" + BLOCK),
    "frame beyond 16 KiB": frame(0xbb, 0, 0, bytes(16385)),
    "CONTINUATION of nothing": frame(9, 4, 1, BLOCK),
    "PING inside a block": frame(1, 1, 1, BLOCK) + frame(6, 0, 0, bytes(8)),
    "another stream inside a block": frame(1, 1, 1, BLOCK) + frame(CONTINUATION, END_HEADERS, 3),
    "HEADERS padded beyond its end": frame(1, 5 | 8, 1, b"\xff" + BLOCK),
    "DATA padded beyond its end": frame(1, 4, 1, b"\x83" + BLOCK[1:]) + frame(0, 1 | 8, 1, b"\xffx"),
    "HPACK index 0": frame(1, 5, 1, b"\x80"),
    "HPACK index beyond the table": frame(1, 5, 1, BLOCK + b"\xff\x50"),
    "HPACK integer without end": frame(1, 5, 1, BLOCK + b"\xff" * 12 + b"\x7f"),
    "HPACK string beyond the block": frame(1, 5, 1, BLOCK + b"\x40\x7fx"),
    "HPACK table beyond ours": frame(1, 5, 1, b"\x3f\xe1\xff\x7f" + BLOCK),
    "Huffman code with EOS": frame(1, 5, 1, BLOCK + b"\x40\x84\xff\xff\xff\xff\x00"),
}


def test_broken_frames_end_their_connection(watched):
    palier, backend = watched

    def try_one(frames: bytes) -> None:
        with RawH2Client(palier.port) as client:
            client.send(frames)
            assert client.wait_goaway() != H2Error.NO_ERROR, client.story()

    with bystander(palier.port):
        wrongs = wrongs_of(CONNECTION_ERRORS, try_one)
    assert not wrongs, "\n".join(wrongs)
    targets = [request.target for request in backend.requests]
    assert targets.count("/bystander") == 2 and set(targets) <= {"/bystander", "/"}


def test_trailers_that_are_none_reset_the_stream(watched):
    """The head and the body were good and may have gone on; the request never becomes whole."""
    palier, backend = watched
    trailers = {
        "pseudo-header": [(":path", "/evil")], "upper case": [("X-Evil", "1")],
        "coding": [("transfer-encoding", "chunked")], "connection": [("connection", "close")],
        "CRLF in a value": [("x-evil", "1\r\n\r\nGET /evil HTTP/1.1")],
        "CRLF in a name": [("x-evil\r\n\r\nget", "1")], "NUL": [("x-evil", "\0")],
    }

    def try_one(fields) -> None:
        with RawH2Client(palier.port) as client:
            stream = client.open(request_fields("POST", "/front"), end=False, extra=frame(0, 0, 1, b"body"))
            client.send(client.headers_frame(1, fields))
            assert client.wait_reset(stream) == H2Error.PROTOCOL_ERROR
            assert stream.status is None
            assert client.get("/next").status == 200

    with bystander(palier.port):
        wrongs = wrongs_of(trailers, try_one)
        with RawH2Client(palier.port) as client:  # and trailers after which the stream goes on
            stream = client.open(request_fields("POST", "/front"), end=False, extra=frame(0, 0, 1, b"body"))
            client.send(client.headers_frame(1, [("x-trailer", "1")], end=False))
            client.wait(lambda: stream.reset or client.goaways, "a refusal")
    assert not wrongs, "\n".join(wrongs)
    assert {request.target for request in backend.requests} == {"/bystander", "/next"}
    assert b"evil" not in backend.received.lower()
