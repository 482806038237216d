"""HTTP/2 message by message: what a backend gets is a proper HTTP/1.1 request, what a client gets a proper answer."""

import json
import threading

import pytest
from harness import free_port, response, route, server
from harness.h2_client import H2Client, h2_site
from harness.h2_frames import PREFACE, H2Error, data_frame, request_fields, settings_frame
from harness.h2_raw import RawH2Client

MEBIBYTE = bytes(i % 251 for i in range(1 << 16)) * 16


@pytest.fixture
def proxied(raw_backend, start_palier):
    """proxied(answer, **keys of the configuration) → (palier, backend)"""
    def start(answer=None, **config):
        backend = raw_backend(answer if answer is not None else response("ok"))
        return start_palier(h2_site([server("a", backend.address)], **config)), backend

    return start


def test_request_line_and_host(proxied):
    palier, backend = proxied()
    with H2Client(palier.port) as client:
        assert client.request("GET", "/a/b?c=d&e", authority="shop.example:8080").body == b"ok"
    request = backend.requests[0]
    assert request.start_line == "GET /a/b?c=d&e HTTP/1.1"
    assert request.get("Host") == "shop.example:8080"
    assert not [name for name, _ in request.fields if name.startswith(":")]
    assert "Connection" not in request and "Transfer-Encoding" not in request and "Content-Length" not in request


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "X-CUSTOM"])
def test_methods(proxied, method):
    palier, backend = proxied()
    with H2Client(palier.port) as client:
        assert client.request(method, "/m").body == b"ok"
    assert backend.requests[0].method == method and backend.requests[0].body == b""


def test_options_asterisk(proxied):
    palier, backend = proxied()
    with H2Client(palier.port) as client:
        assert client.request("OPTIONS", "*").status == 200
    assert backend.requests[0].start_line == "OPTIONS * HTTP/1.1"


def test_head_has_a_length_and_no_body(proxied):
    palier, backend = proxied(response("twelve bytes"))
    with H2Client(palier.port) as client:
        answer = client.request("HEAD", "/")
        assert (answer.status, answer.get("content-length"), answer.size) == (200, "12", 0)
        assert client.request("GET", "/").body == b"twelve bytes"
    assert (backend.accepted, backend.served) == (1, 2)


@pytest.mark.parametrize("size", [0, 1, 16384, 65535, 65536, 10 << 20])
@pytest.mark.parametrize("with_length", [True, False], ids=["length", "chunked"])
def test_post(proxied, size, with_length):
    """The largest is beyond every window and buffer."""
    palier, backend = proxied()
    body = (MEBIBYTE * 10)[:size]
    with H2Client(palier.port) as client:
        fields = [("content-length", str(size))] if with_length else []
        assert client.request("POST", "/", body=body, fields=fields, timeout=30).body == b"ok"
    request = backend.requests[0]
    assert request.body == body
    assert request.chunked is not with_length and ("Content-Length" in request) is with_length


def test_post_that_ends_with_its_head(proxied):
    palier, backend = proxied()
    with H2Client(palier.port) as client:
        assert client.request("POST", "/none").status == 200
        assert client.request("POST", "/zero", fields=[("content-length", "0")]).status == 200
        assert client.request("GET", "/after").status == 200
    assert [request.body for request in backend.requests] == [b"", b"", b""]
    assert backend.requests[1].get("Content-Length") == "0"
    assert backend.accepted == 1


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_answers_without_a_body(proxied, status):
    palier, _ = proxied(f"HTTP/1.1 {status}\r\nETag: \"x\"\r\n\r\n".encode())
    with H2Client(palier.port) as client:
        for _ in range(2):
            answer = client.request()
            assert (answer.status, answer.size, answer.get("etag")) == (int(status[:3]), 0, '"x"')
            assert "content-length" not in answer or status.startswith("304")


def test_answer_to_a_not_modified_may_say_a_length(proxied):
    palier, _ = proxied(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\n\r\n")
    with RawH2Client(palier.port) as client:
        answer = client.get()
        assert (answer.status, answer.size, answer.ended) == (304, 0, True)
        assert answer.get("content-length") in (None, "1234")


@pytest.mark.parametrize("framing", ["length", "chunked", "until close"])
def test_large_answers(raw_backend, start_palier, framing):
    head = {"length": f"Content-Length: {8 << 20}", "chunked": "Transfer-Encoding: chunked", "until close": "X: y"}

    def handler(connection):
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\n{head[framing]}\r\n\r\n")
        for _ in range(8):
            connection.send(b"100000\r\n" + MEBIBYTE + b"\r\n" if framing == "chunked" else MEBIBYTE)
        if framing == "chunked":
            connection.send("0\r\n\r\n")

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)]))
    with H2Client(palier.port) as client:
        answer = client.request(timeout=30)
    assert answer.body == MEBIBYTE * 8
    assert answer.get("content-length") == (str(8 << 20) if framing == "length" else None)
    assert "transfer-encoding" not in answer


def test_small_frames_of_an_answer_arrive_as_they_come(raw_backend, start_palier):
    """An event stream: nothing waits for more."""
    go_on = threading.Event()

    def handler(connection):
        connection.read_request()
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst;\r\n")
        connection.wait(go_on)
        connection.send("6\r\nsecond\r\n0\r\n\r\n")

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)]))
    with H2Client(palier.port) as client:
        stream = client.start()
        client.wait(lambda: stream.body == b"first;", "the first chunk")
        go_on.set()
        assert client.finish(stream).body == b"first;second"


def test_trailers_of_a_request(proxied):
    palier, backend = proxied()
    with H2Client(palier.port) as client:
        client.request("POST", "/", body=b"body", trailers=[("x-checksum", "abc"), ("x-more", "1")])
        client.request("POST", "/", trailers=[("x-checksum", "none")])
    first, second = backend.requests
    assert (first.body, first.trailers) == (b"body", [("x-checksum", "abc"), ("x-more", "1")])
    assert (second.body, second.trailers) == (b"", [("x-checksum", "none")])


def test_trailers_that_mean_something_to_a_server_stay_behind(proxied):
    palier, backend = proxied()
    with RawH2Client(palier.port) as client:
        for name in ("content-length", "host", "x-forwarded-for", "authorization", "cookie"):
            stream = client.open(request_fields("POST", "/"), end=False, extra=b"")
            trailers = client.headers_frame(stream.id, [(name, "1"), ("x-good", "1")])
            client.send(data_frame(stream.id, b"body") + trailers)
            client.wait(lambda: stream.over, "an answer")
            assert stream.status == 200 or stream.reset == H2Error.PROTOCOL_ERROR, name
    for request in backend.requests:
        assert [name.lower() for name, _ in request.trailers] in (["x-good"], []), request.trailers


def test_trailers_of_an_answer(proxied):
    palier, _ = proxied(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                        b"4\r\nbody\r\n0\r\nX-Sum: abc\r\nContent-Length: 9\r\n\r\n")
    with H2Client(palier.port) as client:
        for _ in range(2):
            answer = client.request(fields=[("te", "trailers")])
            assert (answer.body, answer.trailers) == (b"body", [("x-sum", "abc")])


def test_te_trailers_passes(proxied):
    palier, backend = proxied()
    with H2Client(palier.port) as client:
        client.request(fields=[("te", "trailers")])
    assert backend.requests[0].get("TE") == "trailers"


def test_early_hints(proxied):
    palier, _ = proxied(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x\r\n\r\n"
                        b"HTTP/1.1 102 Processing\r\n\r\n" + response("ok"))
    with H2Client(palier.port) as client:
        answer = client.request()
    assert answer.body == b"ok"
    assert answer.informational == [(103, [("link", "</a.css>; rel=preload")]), (102, [])]


def test_continue(raw_backend, start_palier):
    """The client sends its body once the backend wants it."""
    def handler(connection):
        request = connection.read_head()
        assert request.get("Expect").lower() == "100-continue"
        connection.send("HTTP/1.1 100 Continue\r\n\r\n")
        connection.read_body(request)
        connection.send(response(request.body))

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)]))
    with H2Client(palier.port) as client:
        stream = client.start("POST", "/", [("expect", "100-continue"), ("content-length", "4")], end=False)
        client.wait(lambda: stream.informational, "100 Continue")
        assert stream.informational == [(100, [])] and stream.status is None
        client.send_body(stream, b"body", end=True)
        assert client.finish(stream).body == b"body"


def test_expectation_that_is_refused_leaves_the_body_unsent(raw_backend, start_palier):
    def handler(connection):
        connection.read_head()
        connection.send(response("no", "403 Forbidden"))
        connection.stall()

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)]))
    with H2Client(palier.port) as client:
        stream = client.start("POST", "/", [("expect", "100-continue"), ("content-length", "4")], end=False)
        client.wait(lambda: stream.over, "an answer")
        assert (stream.status, stream.body, stream.informational) == (403, b"no", [])
        assert client.request("GET", "/").status == 403, "the connection goes on"


def test_cookie_crumbs_become_one_field(proxied):
    palier, backend = proxied()
    with H2Client(palier.port) as client:
        client.request(fields=[("cookie", "a=1"), ("cookie", "b=2"), ("x-between", "1"), ("cookie", "c=3; d=4")])
        client.request(fields=[("cookie", "a=1; b=2")])
        client.request(fields=[("x-none", "1")])
    assert [request.all("Cookie") for request in backend.requests] == [["a=1; b=2; c=3; d=4"], ["a=1; b=2"], []]
    assert backend.requests[0].get("x-between") == "1"


def test_other_fields_pass_in_order(proxied):
    fields = [("accept", "text/html"), ("x-same", "1"), ("x-empty", ""), ("x-same", "2"), ("user-agent", "t/1 (x; y)"),
              ("authorization", "Basic eDp5"), ("x-bytes", "caf\xe9 \t end")]
    palier, backend = proxied()
    with RawH2Client(palier.port) as client:
        stream = client.open(request_fields("GET", "/", *((n, v.encode("latin-1")) for n, v in fields)))
        assert client.finish(stream).status == 200
    names = {name for name, _ in fields}
    assert [(name.lower(), value) for name, value in backend.requests[0].fields if name.lower() in names] == fields


def test_fields_of_an_answer_are_lower_case_and_without_hop_by_hop(proxied):
    palier, _ = proxied(response(
        "ok", Connection="keep-alive, X-Internal", Keep_Alive="timeout=5", Proxy_Connection="keep-alive",
        X_Internal="1", Upgrade="h2c", X_Kept="2", SET_Cookie="a=1", Content_Type="Text/Plain"))
    with H2Client(palier.port) as client:
        answer = client.request()
    names = [name for name, _ in answer.fields]
    assert not {"connection", "keep-alive", "proxy-connection", "x-internal", "upgrade"} & set(names)
    assert names == [name.lower() for name in names]
    assert (answer.get("x-kept"), answer.get("set-cookie"), answer.get("content-type")) == ("2", "a=1", "Text/Plain")
    assert (answer.get("content-length"), answer.body) == ("2", b"ok")


def test_large_head_of_an_answer(proxied):
    """More than a frame of HTTP/2 holds; and fields that come several times, or with odd bytes, stay what they are."""
    cookies = "".join(f"Set-Cookie: c{number}={'v' * 500}\r\n" for number in range(50))
    head = f"HTTP/1.1 200 OK\r\n{cookies}X-Bytes: caf\xe9\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n"
    palier, _ = proxied(head.encode("latin-1"))
    with RawH2Client(palier.port) as client:
        for _ in range(2):
            answer = client.get()
            assert answer.all("set-cookie") == [f"c{number}={'v' * 500}" for number in range(50)]
            assert (answer.get("x-bytes"), answer.get("x-empty"), answer.size) == ("caf\xe9", "", 0)


def test_proxy_protocol_in_front(proxied):
    listener = {"name": "http", "address": f"127.0.0.1:{free_port()}", "http2": True, "proxy_protocol": "required"}
    palier, backend = proxied(trusted_proxies=["127.0.0.1/32"], listener=[listener])
    with RawH2Client(palier.port, greet=False) as client:
        client.send(b"PROXY TCP4 192.0.2.7 127.0.0.1 4321 80\r\n" + PREFACE + settings_frame({}))
        assert client.get().status == 200
    assert backend.requests[0].get("X-Forwarded-For") == "192.0.2.7"


def test_forwarded_fields(proxied):
    palier, backend = proxied()
    with H2Client(palier.port) as client:
        client.request(authority="shop.example", fields=[
            ("x-forwarded-for", "6.6.6.6"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "evil"),
            ("x-forwarded-port", "1"), ("x_forwarded_for", "6.6.6.6"), ("forwarded", "for=6.6.6.6"),
            ("x-real-ip", "6.6.6.6"), ("x-request-id", "evil"), ("x-client-subject", "CN=evil")])
    seen = backend.requests[0]
    assert (seen.get("X-Forwarded-For"), seen.get("X-Forwarded-Proto")) == ("127.0.0.1", "http")
    assert (seen.get("X-Forwarded-Host"), seen.get("X-Forwarded-Port")) == ("shop.example", str(palier.port))
    assert len(seen.get("X-Request-Id")) == 32
    assert b"evil" not in backend.received and b"6.6.6.6" not in backend.received


def test_scheme_is_the_connections_and_not_the_clients_word(proxied):
    palier, backend = proxied()
    with RawH2Client(palier.port) as client:
        client.finish(client.open(request_fields(scheme="https")))
    assert backend.requests[0].get("X-Forwarded-Proto") == "http"


def test_trusted_client_is_believed(proxied):
    palier, backend = proxied(trusted_proxies=["127.0.0.1/32"])
    with H2Client(palier.port) as client:
        client.request(fields=[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https")])
    seen = backend.requests[0]
    assert (seen.get("X-Forwarded-For"), seen.get("X-Forwarded-Proto")) == ("1.2.3.4, 127.0.0.1", "https")


def test_many_streams_at_once_share_backend_connections(proxied):
    palier, backend = proxied(lambda request: response(request.target))
    with H2Client(palier.port) as client:
        for _ in range(3):
            streams = [client.start(path=f"/{number}") for number in range(50)]
            for number, stream in enumerate(streams):
                assert client.finish(stream).body == f"/{number}".encode()
    assert backend.served == 150 and backend.accepted <= 50


def test_error_pages_on_one_stream_leave_the_others_alone(raw_backend, start_palier):
    go_on = threading.Event()

    def held(connection):
        connection.read_request()
        connection.wait(go_on)
        connection.send(response("patience"))

    pools = {"refused": "127.0.0.1:1", "unresolved": "front.does-not-exist.invalid:80",
             "bad": raw_backend(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n").address,
             "closes": raw_backend(handler=lambda connection: connection.read_request()).address}
    palier = start_palier(h2_site(
        [server("a", raw_backend(handler=held).address)],
        pools=[{"name": name, "server": [server("s", address)]} for name, address in pools.items()],
        route=[route(name, path=path, host=["test.example"])
               for name, path in [("web", "/"), *((name, f"/{name}") for name in pools)]]))
    with H2Client(palier.port) as client:
        waiting = client.start()
        statuses = {}
        for name in pools:
            answer = client.request("POST" if name == "closes" else "GET", f"/{name}")
            statuses[name] = answer.status
            assert answer.get("content-type").startswith("text/html") and answer.size > 0
            assert client.request("HEAD", f"/{name}").size == 0
        assert client.request(authority="unknown.example").status == 404
        assert statuses == {"refused": 502, "unresolved": 503, "bad": 502, "closes": 502}
        assert not waiting.over
        go_on.set()
        assert client.finish(waiting).body == b"patience"


def test_body_beyond_the_limit_is_413(proxied):
    palier, backend = proxied(limits={"body": "1KiB"})
    with H2Client(palier.port) as client:
        for fields in ([("content-length", "2000")], []):
            stream = client.start("POST", "/", fields, end=False)
            client.send_body(stream, b"x" * 2000)
            client.wait(lambda: stream.over, "an answer")
            assert stream.status == 413
        assert client.request("POST", "/", body=b"x" * 1024).status == 200
    assert [len(request.body) for request in backend.requests] == [1024]


def test_answer_before_the_body_is_there_ends_the_upload(raw_backend, start_palier):
    """RFC 9113 section 8.1: the whole answer, then RST_STREAM NO_ERROR."""
    def handler(connection):
        connection.read_head()
        connection.send(response("enough", "403 Forbidden"))
        connection.stall()

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)]))
    with RawH2Client(palier.port) as client:
        stream = client.open(request_fields("POST", "/"), end=False, extra=data_frame(1, b"some"))
        assert client.wait_reset(stream) == H2Error.NO_ERROR
        assert (stream.status, stream.body, stream.ended) == (403, b"enough", True)


def test_access_log(proxied):
    palier, _ = proxied()
    with H2Client(palier.port) as client:
        client.request("POST", "/x?y", body=b"12345", authority="shop.example")
    line = palier.wait_access_log(1)[0]
    assert (line["method"], line["host"], line["path"]) == ("POST", "shop.example", "/x?y")
    assert line["protocol"] == "HTTP/2.0"
    assert (line["status"], line["reason"], line["server"], line["tries"]) == (200, "ok", "a", 1)
    assert line["bytes_in"] > 5 and line["bytes_out"] > 2


def test_redirect_and_fixed_response(proxied, tmp_path):
    (tmp_path / "closed.html").write_text("<p>closed</p>")
    palier, backend = proxied(route=[
        route(redirect={"to": "https", "code": 308}),
        route(path="/closed", respond={"code": 503, "file": str(tmp_path / "closed.html")})])
    with H2Client(palier.port) as client:
        moved = client.request(path="/a?b=c", authority="old.example")
        assert (moved.status, moved.get("location")) == (308, "https://old.example/a?b=c")
        closed = client.request(path="/closed")
        assert (closed.status, closed.body) == (503, b"<p>closed</p>")
    assert backend.accepted == 0


def test_connection_that_a_backend_has_closed_is_replaced_unnoticed(raw_backend, start_palier):
    """It was kept, its server gave it up while the request was on its way: a fresh one to the same server."""
    def handler(connection):
        connection.read_request()
        connection.send(response(f"connection {connection.number}"))
        connection.read_request()  # and closes without a word

    backend = raw_backend(handler=handler)
    palier = start_palier(h2_site([server("a", backend.address)]))
    with H2Client(palier.port) as client:
        assert client.request().body == b"connection 0"
        assert client.request().body == b"connection 1"
    assert [line["status"] for line in palier.wait_access_log(2)] == [200, 200]


def test_request_goes_to_another_server_when_one_resets(raw_backend, start_palier):
    def reset(connection):
        connection.read_request()
        connection.reset()

    weak, strong = raw_backend(handler=reset), raw_backend(name="strong")
    palier = start_palier(h2_site([server("weak", weak.address), server("strong", strong.address)],
                                  pool={"outlier": {"failures": 0}}))
    with H2Client(palier.port) as client:
        streams = [client.start("GET", "/") for _ in range(10)]
        assert {bytes(client.finish(stream).body) for stream in streams} == {b"strong"}
        assert weak.accepted > 0
        statuses = {client.request("POST", "/", body=b"order").status for _ in range(4)}
        assert statuses == {200, 502}, "what was sent is not sent twice"


def test_echo_through_nginx_and_php(web_front, start_palier):
    front = web_front("one")
    palier = start_palier(h2_site([server("one", front.address)]))
    with H2Client(palier.port) as client:
        assert client.request(path="/hello.txt").body == b"hello from one\n"
        for path, fields in (("/echo", [("content-length", str(3 << 20))]), ("/buffered", [])):
            answer = client.request("POST", path, body=MEBIBYTE * 3, fields=fields, timeout=30)
            assert json.loads(answer.body)["input_size"] == 3 << 20


@pytest.mark.parametrize("how", ["preface and frames", "frames"])
def test_byte_by_byte(proxied, how):
    palier, backend = proxied()
    with RawH2Client(palier.port, greet=how == "frames") as client:
        if how != "frames":
            client.send_bytewise(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        stream = client.new_stream()
        client.send_bytewise(client.headers_frame(1, request_fields("POST", "/x", ("x-field", "value")), end=False))
        for part in (b"some", b"body"):
            client.send_bytewise(data_frame(1, part))
        client.send_bytewise(client.headers_frame(1, [("x-trailer", "1")]))
        assert client.finish(stream).body == b"ok"
    request = backend.requests[0]
    assert (request.body, request.trailers, request.get("x-field")) == (b"somebody", [("x-trailer", "1")], "value")


def test_head_in_many_continuations(proxied):
    """A few, of any size, padded or with a priority, are a client's right."""
    palier, backend = proxied()
    with RawH2Client(palier.port) as client:
        block = client.encoder.encode(request_fields("GET", "/x", ("x-long", "v" * 5000)))
        stream = client.new_stream()
        pieces = [block[:10], block[10:11], block[11:4000], block[4000:]]
        client.send(b"\0\0\x12\1\x29\0\0\0\1" + b"\2" + b"\0\0\0\0\x10" + pieces[0] + b"\0\0")
        assert not client.streams[1].over
        for last, piece in ((False, pieces[1]), (False, pieces[2]), (True, pieces[3])):
            client.send(len(piece).to_bytes(3, "big") + bytes([9, 4 if last else 0]) + b"\0\0\0\1" + piece)
        client.wait(lambda: stream.over or client.closed, "an answer")
        assert stream.status == 200, client.story()
    assert backend.requests[0].get("x-long") == "v" * 5000
