"""Backends that lie, dribble, flood and cut: 502 while the client has nothing yet, a cut that it can see afterwards,
and never again the same connection."""

import threading

import pytest
from harness import ConnectionEnded, duration, response, server, site, wait_for

# Nothing about these connections may be remembered: no ejection, no other server to try.
PLAIN_POOL = {"retries": 0, "outlier": {"failures": 0}}


@pytest.fixture
def hostile(raw_backend, start_palier):
    """hostile(misdeed) starts palier before a backend whose `misdeed` (bytes, or a function of the connection) answers
    /bad, while every other target is answered well on connections that are kept. Returns (palier, backend)."""
    def start(misdeed, workers=1, **config):
        def handler(connection):
            while True:
                request = connection.read_request()
                if request.target != "/bad":
                    connection.send(response(f"{connection.number}:{request.target}"))
                elif callable(misdeed):
                    misdeed(connection)
                    return
                else:
                    connection.send(misdeed)
                    connection.stall()
                    return

        backend = raw_backend(handler=handler)
        config.setdefault("pool", PLAIN_POOL)
        return start_palier(site([server("a", backend.address)], workers=workers, **config)), backend

    return start


def check_next_is_on_a_new_connection(palier, backend) -> None:
    """What follows is answered, and not by the connection that misbehaved."""
    bad = next(connection for connection in backend.connections if b" /bad " in connection.received)
    for target in ("/next", "/after"):
        answer = palier.get(target)
        assert answer.status == 200 and answer.body == f"{bad.number + 1}:{target}".encode()
    assert bad.received.count(b" HTTP/1.1\r\n") == bad.received.count(b" /before ") + 1


def ask_for_bad(palier, status: int = 502, reason: str = "backend_bad_response") -> None:
    """/before makes a pooled connection, /bad then finds it."""
    with palier.connect() as client:
        assert client.request("GET", "/before").status == 200
        answer = client.request("GET", "/bad")
        assert answer.status == status, answer.raw
        assert answer.get("Server") == "palier"
        # The fault is not the client's: its connection goes on.
        assert client.request("GET", "/same").status == 200
    line = palier.wait_access_log(2)[1]
    assert (line["status"], line["reason"], line["server"]) == (status, reason, "a")


OK = "HTTP/1.1 200 OK\r\n"
BAD_HEADS = {
    "two Content-Lengths": OK + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "two equal Content-Lengths": OK + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    "a list of Content-Lengths": OK + "Content-Length: 2, 2\r\n\r\nab",
    "negative Content-Length": OK + "Content-Length: -2\r\n\r\nab",
    "signed Content-Length": OK + "Content-Length: +2\r\n\r\nab",
    "Content-Length beyond 2^64": OK + "Content-Length: 18446744073709551618\r\n\r\nab",
    "Content-Length with Transfer-Encoding":
        OK + "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "Transfer-Encoding with Content-Length":
        OK + "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "Transfer-Encoding: gzip": OK + "Transfer-Encoding: gzip\r\n\r\nab",
    "Transfer-Encoding: gzip, chunked": OK + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two Transfer-Encodings": OK + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding in HTTP/1.0": "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "field without a colon": OK + "Nonsense\r\nContent-Length: 2\r\n\r\nab",
    "space before the colon": OK + "X : a\r\nContent-Length: 2\r\n\r\nab",
    "folding": OK + "X: a\r\n b\r\nContent-Length: 2\r\n\r\nab",
    "empty name": OK + ": a\r\nContent-Length: 2\r\n\r\nab",
    "NUL in a value": OK + "X: a\0b\r\nContent-Length: 2\r\n\r\nab",
    "bare CR": OK + "X: a\rb\r\nContent-Length: 2\r\n\r\nab",
    "bare LF": OK + "X: a\nContent-Length: 2\r\n\r\nab",
    "only bare LF": "HTTP/1.1 200 OK\nContent-Length: 2\n\nab",
    "HTTP/0.9": "<html>no head at all</html>",
    "garbage": "\x00\xff\x00\xff" * 10,
    "another protocol": "220 mail.example ESMTP\r\n",
    "HTTP/2.0": "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
    "HTTP/1.2": "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nab",
    "no status": "HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nab",
    "status of two digits": "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nab",
    "status of four digits": "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nab",
    "status 099": "HTTP/1.1 099 Low\r\nContent-Length: 2\r\n\r\nab",
    "NUL in the reason": "HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nab",
    "leading empty line": "\r\n" + OK + "Content-Length: 2\r\n\r\nab",
    "101 that nobody asked for":
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "chunked 103": "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunk size with the head": OK + "Transfer-Encoding: chunked\r\n\r\nxyz\r\nab\r\n0\r\n\r\n",
    "chunk size with a sign": OK + "Transfer-Encoding: chunked\r\n\r\n+2\r\nab\r\n0\r\n\r\n",
    "chunk that is too long": OK + "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    "too many fields": OK + "X: y\r\n" * 200 + "Content-Length: 2\r\n\r\nab",
    "oversized head": OK + "X: " + "y" * 40_000 + "\r\nContent-Length: 2\r\n\r\nab",
    "endless status line": "HTTP/1.1 200 " + "O" * 40_000,
}


def test_bad_response_is_502_and_its_connection_is_not_used_again(hostile):
    texts = iter(BAD_HEADS.values())
    palier, backend = hostile(lambda connection: (connection.send(next(texts)), connection.stall()))
    with palier.connect() as client:
        for count, name in enumerate(BAD_HEADS, 1):
            # A connection that is in the pool, then goes bad.
            assert client.request("GET", "/before").status == 200
            answer = client.request("GET", "/bad")
            assert (answer.status, answer.get("Server")) == (502, "palier"), name
            # The fault is not the client's, whose connection goes on; the backend's is a new one.
            assert client.request("GET", "/next").body == f"{count}:/next".encode(), name
    lines = [line for line in palier.wait_access_log(3 * len(BAD_HEADS)) if line["path"] == "/bad"]
    for name, line in zip(BAD_HEADS, lines, strict=True):
        assert (line["status"], line["reason"], line["server"]) == (502, "backend_bad_response", "a"), name
    for connection in backend.connections:
        assert b"GET " not in connection.received.partition(b" /bad ")[2]


def test_bad_responses_bytewise(hostile):
    """However they are cut, they are the same: 502, or, for what is wrong only behind a good head, a visible cut."""
    texts = iter(BAD_HEADS.values())
    palier, _ = hostile(lambda connection: connection.send_bytewise(next(texts).encode("latin-1")[:2000]), limits={
        "header_size": "1KiB"})
    for name in BAD_HEADS:
        with palier.connect() as client:
            try:
                answer = client.request("GET", "/bad")
                assert answer.status == 502, name
            except ConnectionEnded as ended:
                assert "chunk" in name and ended.received.find(b"0\r\n\r\n") < 0, name
        assert palier.get("/next").status == 200
    reasons = [line["reason"] for line in palier.wait_access_log(2 * len(BAD_HEADS)) if line["path"] == "/bad"]
    assert set(reasons) <= {"backend_bad_response", "backend_cut"}, reasons


def test_flood_of_informational_responses(hostile):
    palier, backend = hostile(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 17 + response("too late"))
    with palier.connect() as client:
        answer = client.request("GET", "/bad")
        interim = 0
        while answer.status == 103:
            interim += 1
            answer = client.read_response()
        assert (answer.status, interim) == (502, 16)
    assert palier.wait_access_log(1)[0]["reason"] == "backend_bad_response"
    check_next_is_on_a_new_connection(palier, backend)


def test_endless_informational_responses_end(hostile):
    def misdeed(connection):
        try:
            while True:
                connection.send("HTTP/1.1 100 Continue\r\n\r\n")
        except OSError:
            return

    palier, backend = hostile(misdeed)
    with palier.connect() as client:
        answer = client.request("GET", "/bad")
        while answer.status == 100:
            answer = client.read_response()
        assert answer.status == 502
    check_next_is_on_a_new_connection(palier, backend)


def test_sixteen_informational_responses_are_borne(hostile):
    palier, _ = hostile(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 16 + response("page"))
    with palier.connect() as client:
        answer = client.request("GET", "/bad")
        while answer.status == 103:
            answer = client.read_response()
        assert (answer.status, answer.body) == (200, b"page")


def test_head_that_floods_in_without_end(hostile):
    def misdeed(connection):
        connection.send(OK)
        try:
            while True:
                connection.send("X-Flood: " + "y" * 1000 + "\r\n")
        except OSError:
            return

    palier, backend = hostile(misdeed)
    ask_for_bad(palier)
    check_next_is_on_a_new_connection(palier, backend)


def test_head_that_drips_without_end(hostile):
    """Each byte comes in time, the head never does: `timeouts.server` is to the end of the head."""
    def misdeed(connection):
        drips = threading.Event()
        connection.send(OK + "X: ")
        try:
            while not drips.wait(0.02):
                connection.send("y")
        except OSError:
            return

    palier, backend = hostile(misdeed, timeouts={"server": duration(0.3)})
    ask_for_bad(palier, 504, "backend_timeout")
    check_next_is_on_a_new_connection(palier, backend)


@pytest.mark.parametrize("text, how", [
    ("", "close"), ("", "reset"), ("HTT", "close"), (OK, "close"), (OK + "Content-Le", "close"), (OK + "Content-Le", "reset"),
    (OK + "Content-Length: 2\r\n", "close"),
], ids=["nothing", "nothing, reset", "in the version", "after the status line", "in a field", "in a field, reset",
        "before the empty line"])
def test_head_that_is_cut(hostile, text, how):
    def misdeed(connection):
        connection.send(text)
        connection.reset() if how == "reset" else connection.close()

    palier, backend = hostile(misdeed)
    with palier.connect() as client:
        # On a fresh connection, where a close is the backend's failure.
        assert client.request("GET", "/bad").status == 502
        assert client.request("GET", "/same").status == 200
    assert palier.wait_access_log(2)[0]["reason"] == "backend_reset"
    check_next_is_on_a_new_connection(palier, backend)


@pytest.mark.parametrize("framing, body", [
    ("Content-Length: 10\r\n", "half!"), ("Transfer-Encoding: chunked\r\n", "5\r\nhalf!\r\n"),
    ("Transfer-Encoding: chunked\r\n", "a\r\nhalf!"), ("Transfer-Encoding: chunked\r\n", "5\r\nhalf!\r\n0\r\n"),
], ids=["length", "between chunks", "in a chunk", "in the last chunk"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_body_that_is_cut_is_cut_for_the_client(hostile, framing, body, how):
    delivered = threading.Event()

    def misdeed(connection):
        connection.send(OK + framing + "\r\n" + body)
        if how == "reset":
            connection.wait(delivered)  # a reset takes along what the client has not got yet
        connection.reset() if how == "reset" else connection.close()

    palier, backend = hostile(misdeed)
    with palier.connect() as client:
        client.send("GET /bad HTTP/1.1\r\nHost: x\r\n\r\n")
        head = client.read_head()
        assert head.status == 200
        got = client.read_exactly(len("5\r\n") * head.chunked + len("half!"))
        assert got.endswith(b"half!")
        delivered.set()
        rest = client.read_whatever()
        assert b"0\r\n\r\n" not in rest, "the cut must not look like the end"
    line = palier.wait_access_log(1)[0]
    assert (line["status"], line["reason"]) == (200, "backend_cut")
    check_next_is_on_a_new_connection(palier, backend)


def test_cut_body_is_no_clean_end_for_a_1_0_client(hostile):
    """Its body lasts until the close, so that only a reset tells that it was not whole."""
    sent = threading.Event()

    def misdeed(connection):
        connection.send(OK + "Transfer-Encoding: chunked\r\n\r\n5\r\nhalf!\r\n")
        connection.wait(sent)
        connection.close()

    palier, _ = hostile(misdeed)
    with palier.connect() as client:
        client.send("GET /bad HTTP/1.0\r\nHost: x\r\n\r\n")
        assert not client.read_head().chunked
        assert client.read_exactly(5) == b"half!"
        sent.set()
        with pytest.raises(ConnectionEnded) as ended:
            client.read_until_close()
        assert ended.value.was_reset


@pytest.mark.parametrize("later", ["xyz\r\nmore\r\n0\r\n\r\n", "4\r\nmore0\r\n\r\n", "4\nmore\r\n0\r\n\r\n",
                                   "0\r\nBad trailer\r\n\r\n", "10000000000000000\r\nmore"])
def test_bad_chunk_behind_good_ones(hostile, later):
    delivered = threading.Event()

    def misdeed(connection):
        connection.send(OK + "Transfer-Encoding: chunked\r\n\r\n5\r\ngood!\r\n")
        connection.wait(delivered)
        connection.send(later)
        connection.stall()

    palier, backend = hostile(misdeed)
    with palier.connect() as client:
        client.send("GET /bad HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_head().status == 200
        assert client.read_exactly(8) == b"5\r\ngood!"
        delivered.set()
        assert b"0\r\n\r\n" not in client.read_whatever()
    assert palier.wait_access_log(1)[0]["reason"] == "backend_cut"
    check_next_is_on_a_new_connection(palier, backend)


@pytest.mark.parametrize("answer, body", [
    (response("short") + b"and more than was promised", b"short"),
    (response("one") + response("two"), b"one"),
    (OK.encode() + b"Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n", b"one"),
    (b"HTTP/1.1 204 No Content\r\n\r\nbody of a 204", b""),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody", b""),
    (b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n", b""),
], ids=["longer than its length", "a second response", "behind the last chunk", "204", "304", "204 with a length"])
def test_bytes_behind_a_response_reach_nobody(hostile, answer, body):
    palier, backend = hostile(answer)
    with palier.connect() as client:
        got = client.request("GET", "/bad")
        assert got.body == body
        assert client.request("GET", "/same").body == b"1:/same"
    check_next_is_on_a_new_connection(palier, backend)


def test_second_response_that_comes_later_reaches_nobody(hostile):
    """Response splitting by time: the connection is idle when the bytes come, or about to be used again."""
    def misdeed(connection):
        connection.send(response("first"))
        connection.send(response("second"))
        connection.stall()

    palier, backend = hostile(misdeed)
    with palier.connect() as client:
        assert client.request("GET", "/bad").body == b"first"
        wait_for(lambda: backend.connections[0].socket.fileno() == -1, "the end of the connection")
        assert client.request("GET", "/same").body == b"1:/same"


def test_body_of_a_head_response_reaches_nobody(raw_backend, start_palier):
    def handler(connection):
        while True:
            connection.read_request()
            connection.send(response("a body that HEAD does not have"))

    backend = raw_backend(handler=handler)
    palier = start_palier(site([server("a", backend.address)], workers=1))
    with palier.connect() as client:
        for _ in range(3):
            assert client.request("HEAD", "/").status == 200
        assert client.request("GET", "/").status == 200
    assert backend.accepted == 4


def test_response_before_the_request_is_no_response(raw_backend, start_palier):
    """A backend that speaks first is not speaking of this request. Where its bytes win the race against the request
    nobody can tell, so that the answer may be taken; what matters is that it ends with its connection."""
    def handler(connection):
        connection.send(response("unasked"))
        connection.read_request()
        connection.close()

    backend = raw_backend(handler=handler)
    palier = start_palier(site([server("a", backend.address)], workers=1, pool=PLAIN_POOL))
    for number in range(10):
        with palier.connect() as client:
            answer = client.request("GET", f"/{number}")
        assert answer.status == 502 or answer.body == b"unasked"
    assert palier.child.running


def test_backend_that_accepts_and_closes(raw_backend, start_palier):
    backend = raw_backend(handler=lambda connection: connection.close())
    palier = start_palier(site([server("a", backend.address)], pool=PLAIN_POOL))
    for method in ("GET", "POST"):
        with palier.connect() as client:
            assert client.request(method, "/", body=b"x" * 10).status == 502


def test_backend_that_half_closes_before_the_request(raw_backend, start_palier):
    """It will never answer: that is known at once, not after `timeouts.server`."""
    def handler(connection):
        connection.half_close()
        connection.stall()

    backend = raw_backend(handler=handler)
    palier = start_palier(site([server("a", backend.address)], pool=PLAIN_POOL))
    assert palier.get().status == 502


def test_hostile_backend_is_ejected_and_the_other_serves(raw_backend, start_palier):
    bad = raw_backend(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
    good = raw_backend(name="good")
    palier = start_palier(site([server("bad", bad.address), server("good", good.address)], workers=1, pool={
        "outlier": {"failures": 3, "backoff": "1m"}}))
    statuses = [palier.get().status for _ in range(20)]
    assert statuses.count(502) == 3 and set(statuses[6:]) == {200}, statuses
    palier.wait_event("bad.*ejected")


def test_hostile_answers_do_not_disturb_others_in_flight(hostile):
    """Good requests run beside bad ones, on the same worker."""
    palier, _ = hostile(BAD_HEADS["two Content-Lengths"].encode(), pool={"retries": 0, "outlier": {"failures": 0}})
    with palier.connect() as honest, palier.connect() as other:
        for _ in range(30):
            other.send("GET /bad HTTP/1.1\r\nHost: x\r\n\r\n")
            assert honest.request("GET", "/good").status == 200
            assert other.read_response().status == 502
