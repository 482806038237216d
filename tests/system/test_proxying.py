"""HTTP/1.1 through palier, message by message: what the backend gets and what the client gets back."""

import json
import threading

import pytest
from harness import ConnectionEnded, RawClient, response, server, site, wait_for


@pytest.fixture
def proxied(raw_backend, start_palier):
    """Starts a backend and palier in front of it: (palier, backend). `config` holds more keys for site()."""
    def start(answer=None, handler=None, config=None):
        backend = raw_backend(answer, handler)
        return start_palier(site([server("a", backend.address)], **(config or {}))), backend

    return start


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PURGE", "M-SEARCH",
                                    "PROPFIND", "X!#$%&'*+.^_`|~9"])
def test_method_and_body_reach_the_backend(proxied, method):
    palier, backend = proxied()
    body = None if method == "TRACE" else b"twelve bytes"
    with palier.connect() as client:
        answer = client.request(method, "/path?query=1", body=body, Content_Type="text/plain")
    seen = json.loads(answer.body)
    assert answer.status == 200
    assert seen["line"] == f"{method} /path?query=1 HTTP/1.1"
    assert seen["body"].encode() == (body or b"")


def test_options_asterisk(proxied):
    palier, backend = proxied()
    with palier.connect() as client:
        client.request("OPTIONS", "*")
    assert backend.requests[0].start_line == "OPTIONS * HTTP/1.1"


def test_head_keeps_the_length_and_has_no_body(proxied):
    palier, _ = proxied(response(b"x" * 1234, ETag='"e"'))
    with palier.connect() as client:
        for _ in range(2):
            answer = client.request("HEAD", "/")
            assert (answer.status, answer.get("Content-Length"), answer.get("ETag")) == (200, "1234", '"e"')
        assert len(client.request("GET", "/").body) == 1234


def test_responses_without_a_body_keep_the_connection_in_step(proxied):
    answers = {
        "/204": b"HTTP/1.1 204 No Content\r\nX-Which: 204\r\n\r\n",
        "/304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: \"e\"\r\n\r\n",
        "/empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "/full": response("body"),
    }
    palier, backend = proxied(lambda request: answers[request.target], config={"workers": 1})
    with palier.connect() as client:
        for target, status in [("/204", 204), ("/304", 304), ("/empty", 200), ("/full", 200)] * 2:
            answer = client.request("GET", target)
            assert answer.status == status
            assert answer.body == (b"body" if target == "/full" else b"")
            if status == 204:
                assert "Content-Length" not in answer and "Transfer-Encoding" not in answer
    assert backend.accepted == 1


def test_chunked_request_and_response(proxied):
    def answer(request):
        assert request.chunked and "Content-Length" not in request
        return (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"5;extension=1\r\nfirst\r\n00a\r\n-and-secon\r\n1\r\nd\r\n0\r\n\r\n")

    palier, backend = proxied(answer)
    with palier.connect() as client:
        for _ in range(2):
            client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "3;a=b\r\nabc\r\n0E\r\ndefghijklmnopq\r\n0\r\n\r\n")
            reply = client.read_response()
            assert reply.chunked and reply.body == b"first-and-second"
    assert [request.body for request in backend.requests] == [b"abcdefghijklmnopq"] * 2
    assert b"a=b" not in backend.received, "chunk extensions belong to one hop (RFC 9112 section 7.1.1)"


def test_trailers_travel_both_ways(proxied):
    palier, backend = proxied(lambda request: (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        b"4\r\nbody\r\n0\r\nX-Sum: 42\r\nX-More: yes\r\n\r\n"))
    with palier.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "2\r\nhi\r\n0\r\nX-Check: abc\r\nX-Other: d\r\n\r\n")
        reply = client.read_response()
        assert (reply.body, reply.trailers) == (b"body", [("X-Sum", "42"), ("X-More", "yes")])
        assert client.request("GET", "/").status == 200
    assert backend.requests[0].trailers == [("X-Check", "abc"), ("X-Other", "d")]


def test_expect_continue_is_answered_by_the_backend(proxied):
    def handler(connection):
        request = connection.read_head()
        assert request.get("Expect") == "100-continue"
        connection.send("HTTP/1.1 100 Continue\r\n\r\n")
        connection.read_body(request)
        connection.send(response(request.body))

    palier, _ = proxied(handler=handler)
    with palier.connect() as client:
        client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.read_response().status == 100
        client.send("hello")
        assert client.read_response().body == b"hello"


def test_expect_continue_may_be_refused(proxied):
    def handler(connection):
        connection.read_head()
        connection.send(response("no", "403 Forbidden", Connection="close"))
        connection.stall()

    palier, backend = proxied(handler=handler)
    with palier.connect() as client:
        client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        answer = client.read_response()
        assert (answer.status, answer.body) == (403, b"no")


def test_client_that_does_not_wait_for_100(proxied):
    palier, backend = proxied()
    with palier.connect() as client:
        client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
        answer = client.read_response()
        while answer.status == 100:
            answer = client.read_response()
        assert json.loads(answer.body)["body"] == "hello"


def test_early_hints_are_forwarded(proxied):
    palier, _ = proxied(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
                        b"HTTP/1.1 103 Early Hints\r\nLink: </b.css>; rel=preload\r\n\r\n" + response("page"))
    with palier.connect() as client:
        for _ in range(2):
            hints = client.request("GET", "/")
            assert (hints.status, hints.get("Link")) == (103, "</a.css>; rel=preload")
            assert client.read_response().get("Link") == "</b.css>; rel=preload"
            assert client.read_response().body == b"page"


def test_http_1_0_client_gets_no_interim_response(proxied):
    palier, _ = proxied(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + response("page"))
    with palier.connect() as client:
        answer = client.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n").read_response()
        assert (answer.status, answer.body) == (200, b"page")


def test_absolute_form_becomes_origin_form(proxied):
    palier, backend = proxied()
    with palier.connect() as client:
        client.send("GET http://shop.example/a?b HTTP/1.1\r\nHost: other.example\r\n\r\n")
        assert client.read_response().status == 200
        client.send("GET http://shop.example HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        assert client.read_response().status == 200
    assert backend.requests[0].start_line == "GET /a?b HTTP/1.1"
    assert backend.requests[0].get("Host") == "shop.example", "RFC 9112 section 3.2.2: the target replaces Host"
    assert backend.requests[1].start_line == "GET / HTTP/1.1"


def test_pipelined_requests_are_answered_in_order(proxied):
    palier, backend = proxied(lambda request: response(f"{request.target}:{request.body.decode()}"))
    burst = "".join(f"POST /{i} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(str(i))}\r\n\r\n{i}" for i in range(50))
    with palier.connect() as client:
        client.send(burst)
        for i in range(50):
            assert client.read_response().body == f"/{i}:{i}".encode()
    assert [request.target for request in backend.requests] == [f"/{i}" for i in range(50)]


def test_pipelined_request_waits_for_the_one_before(proxied):
    release = threading.Event()

    def handler(connection):
        while True:
            request = connection.read_request()
            if request.target == "/slow":
                connection.wait(release)
            connection.send(response(request.target))

    palier, backend = proxied(handler=handler)
    with palier.connect() as client:
        client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /fast HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        release.set()
        assert [client.read_response().body for _ in range(2)] == [b"/slow", b"/fast"]


def test_http_1_0_client_is_closed_after_the_answer(proxied):
    palier, backend = proxied(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n")
    with palier.connect() as client:
        answer = client.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n").read_response()
        assert not answer.chunked and answer.body == b"body"
    assert backend.requests[0].version == "HTTP/1.1"


def test_http_1_0_client_without_host(proxied):
    palier, _ = proxied(response("page"))
    with palier.connect() as client:
        client.send("GET / HTTP/1.0\r\n\r\n")
        assert client.read_response().body == b"page"
        assert client.read_until_close() == b""


def test_http_1_0_client_may_keep_the_connection(proxied):
    palier, _ = proxied(response("page"))
    with palier.connect() as client:
        for _ in range(3):
            answer = client.send("GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n").read_response()
            assert answer.body == b"page" and answer.get("Connection", "").lower() == "keep-alive"


def test_client_asks_for_close(proxied):
    palier, _ = proxied(response("page"))
    with palier.connect() as client:
        answer = client.request("GET", "/", Connection="close")
        assert answer.body == b"page" and answer.get("Connection", "").lower() == "close"
        assert client.read_until_close() == b""


def test_early_response_arrives_while_the_body_is_being_sent(proxied):
    def handler(connection):
        request = connection.read_head()
        connection.send(response("enough", "413 Content Too Large", Connection="close"))
        connection.stall()

    palier, _ = proxied(handler=handler)
    with palier.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n" + "x" * 30000)
        answer = client.read_response()
        assert (answer.status, answer.body) == (413, b"enough")


def test_connection_after_an_early_response_is_closed_or_in_step(proxied):
    def handler(connection):
        request = connection.read_head()
        connection.send(response("early"))
        connection.read_body(request)
        while True:
            connection.read_request()
            connection.send(response("second"))

    palier, _ = proxied(handler=handler)
    with palier.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + "x" * 10000)
        first = client.read_response()
        assert first.body == b"early"
        try:
            client.send("x" * 10000)
            client.send("GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.read_response().body == b"second"
        except (ConnectionEnded, ConnectionError):
            pass  # closing after an early response is allowed, another answer than the right one is not


def test_half_closed_client_gets_its_answer(proxied):
    release = threading.Event()

    def handler(connection):
        request = connection.read_request()
        connection.wait(release)
        connection.send(response(request.body))

    palier, backend = proxied(handler=handler)
    with palier.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello").half_close()
        backend.wait_served(1)
        release.set()
        assert client.read_response().body == b"hello"
        assert client.read_until_close() == b""


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_close_delimited_response(proxied, version):
    body = bytes(range(256)) * 2000

    def handler(connection):
        connection.read_request()
        connection.send(f"{version} 200 OK\r\nX-Kind: until close\r\n\r\n".encode() + body)

    palier, _ = proxied(handler=handler)
    with palier.connect() as client:
        answer = client.request("GET", "/")
        assert answer.body == body
        if answer.chunked:
            assert client.request("GET", "/").body == body


def test_backend_speaking_http_1_0_is_not_reused(proxied):
    palier, backend = proxied(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", config={"workers": 1})
    with palier.connect() as client:
        assert [client.request().body for _ in range(3)] == [b"ok"] * 3
    assert backend.accepted == 3


def test_large_heads_under_the_limit(proxied):
    fields = {f"X_Field_{i}": "v" * 250 for i in range(90)}
    cookie = "c=" + "d" * 5000
    palier, backend = proxied(lambda request: response("ok", Set_Cookie="s=" + "t" * 6000, **fields))
    with palier.connect() as client:
        answer = client.request("GET", "/" + "p" * 2000, Cookie=cookie, **fields)
    assert answer.body == b"ok" and len(answer.get("Set-Cookie")) == 6002 and answer.get("X-Field-89") == "v" * 250
    seen = backend.requests[0]
    assert (seen.get("Cookie"), len(seen.target), seen.get("X-Field-89")) == (cookie, 2001, "v" * 250)


def test_backend_connection_is_reused(proxied):
    palier, backend = proxied(config={"workers": 1})
    with palier.connect() as client:
        for _ in range(20):
            assert client.request().status == 200
    for _ in range(20):
        assert palier.get().status == 200
    assert (backend.accepted, backend.served) == (1, 40)


def test_backend_that_says_close_is_not_reused(proxied):
    palier, backend = proxied(response("ok", Connection="close"), config={"workers": 1})
    with palier.connect() as client:
        for _ in range(3):
            answer = client.request()
            assert answer.body == b"ok" and "Connection" not in answer, "the backend's Connection is its own"
    assert backend.accepted == 3


def test_stale_pooled_connection_is_retried_on_a_fresh_one(proxied):
    """The backend closes its idle connection just as the next request is on its way."""
    def handler(connection):
        connection.read_request()
        connection.send(response("ok"))
        connection.read_request()
        # and now the close, without a byte

    palier, backend = proxied(handler=handler, config={"workers": 1})
    with palier.connect() as client:
        for _ in range(6):
            assert client.request().body == b"ok"
    assert backend.accepted == 6


def test_stale_pooled_connection_that_resets_is_retried_on_a_fresh_one(proxied):
    def handler(connection):
        connection.read_request()
        connection.send(response("ok"))
        connection.read_request()
        connection.reset()

    palier, _ = proxied(handler=handler, config={"workers": 1})
    with palier.connect() as client:
        for _ in range(6):
            assert client.request().body == b"ok"


def test_pooled_connection_closed_while_idle_is_not_used_for_a_post(proxied):
    closed = threading.Semaphore(0)

    def handler(connection):
        connection.read_request()
        connection.send(response("ok"))
        connection.half_close()
        connection.read_until_close()  # palier has seen the end when it closes too
        closed.release()

    palier, backend = proxied(handler=handler, config={"workers": 1})
    with palier.connect() as client:
        for _ in range(5):
            assert client.request("POST", "/", body=b"x").body == b"ok"
            wait_for(lambda: closed.acquire(blocking=False), "palier to close its side")
    assert backend.accepted == 5


def test_backend_is_released_when_the_client_goes_away(proxied):
    gone = threading.Event()

    def handler(connection):
        connection.read_request()
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        connection.send(b"x" * 1000)
        connection.read_until_close()
        gone.set()

    palier, _ = proxied(handler=handler)
    client = palier.connect()
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    client.read_head()
    client.reset()
    wait_for(gone.is_set, "the backend connection to be closed")


_BYTEWISE = [
    "GET /a HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world",
    "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5;x\r\nhello\r\n6\r\n world\r\n0\r\nX-T: 1\r\n\r\n",
]


def test_bytewise_request_is_the_same_request(proxied):
    palier, backend = proxied()
    for text in _BYTEWISE:
        with palier.connect() as client:
            whole = json.loads(client.send(text).read_response().body)
            dribbled = json.loads(client.send_bytewise(text).read_response().body)
        for seen in (whole, dribbled):
            seen["fields"] = [field for field in seen["fields"] if field[0].lower() != "x-request-id"]
        assert dribbled == whole


@pytest.mark.parametrize("answer", [
    response("hello world", X_Field="value"),
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + response("after the hints"),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-T: 1\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nX-Field: value\r\n\r\n",
], ids=["length", "interim", "chunked", "204"])
def test_bytewise_response_is_the_same_response(proxied, answer):
    def handler(connection):
        while True:
            request = connection.read_request()
            (connection.send_bytewise if request.target == "/bytewise" else connection.send)(answer)

    def final(client: RawClient):
        reply = client.read_response()
        while reply.status < 200:
            reply = client.read_response()
        return reply.start_line, reply.fields, reply.body, reply.trailers

    palier, _ = proxied(handler=handler)
    with palier.connect() as client:
        for target in ("/whole", "/bytewise", "/whole"):
            client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n")
            seen = final(client)
            if target == "/whole":
                expected = seen
            assert seen == expected


def test_ipv6_listener_and_backend(raw_backend, start_palier):
    backend = raw_backend(name="six", host="::1")
    config = site([server("a", backend.address)])
    config["listener"][0]["address"] = [config["listener"][0]["address"],
                                        config["listener"][0]["address"].replace("127.0.0.1", "[::1]")]
    palier = start_palier(config)
    for host in ("127.0.0.1", "::1"):
        with palier.connect(host=host) as client:
            assert client.request().body == b"six"


def test_body_of_unknown_pace_is_streamed_not_stored(proxied):
    """Each half of a body, in both directions, arrives before the other half is sent."""
    first_seen, answer_more = threading.Event(), threading.Event()

    def handler(connection):
        connection.read_head()
        assert connection.read_exactly(5) == b"first"
        first_seen.set()
        assert connection.read_exactly(6) == b"second"
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nfirst")
        connection.wait(answer_more)
        connection.send("second")

    palier, _ = proxied(handler=handler)
    with palier.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nfirst")
        wait_for(first_seen.is_set, "the first half at the backend")
        client.send("second")
        assert client.read_head().status == 200
        assert client.read_exactly(5) == b"first"
        answer_more.set()
        assert client.read_exactly(6) == b"second"
