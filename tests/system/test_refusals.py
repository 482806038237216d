"""Requests on which two parsers could disagree: refused and closed, and no backend sees a byte of them."""

import pytest
from harness import ConnectionEnded, response, server, site

FULL = "GET / HTTP/1.1\r\nHost: x\r\n"

# name: (the client's bytes, status, reason in the access log). The bytes end where the refusal must be certain.
HEADS = {
    "bare CR in a value": (FULL + "X: a\rb\r\n\r\n", 400, "bad_request"),
    "bare CR before a field": (FULL + "\rX: a\r\n\r\n", 400, "bad_request"),
    "bare CR as line end": (FULL + "X: a\rY: b\r\n\r\n", 400, "bad_request"),
    "bare CR at the end of the head": (FULL + "X: a\r\n\rGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "bare LF after the request line": ("GET / HTTP/1.1\nHost: x\r\n\r\n", 400, "bad_request"),
    "bare LF after a field": (FULL + "X: a\nY: b\r\n\r\n", 400, "bad_request"),
    "bare LF as the empty line": (FULL + "X: a\r\n\n", 400, "bad_request"),
    "only bare LF": ("GET / HTTP/1.1\nHost: x\n\n", 400, "bad_request"),
    "NUL in a value": (FULL + "X: a\0b\r\n\r\n", 400, "bad_request"),
    "NUL in a name": (FULL + "X\0Y: a\r\n\r\n", 400, "bad_request"),
    "NUL in the target": ("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "control character in a value": (FULL + "X: a\x01b\r\n\r\n", 400, "bad_request"),
    "DEL in a value": (FULL + "X: a\x7fb\r\n\r\n", 400, "bad_request"),
    "space before the colon": (FULL + "X : a\r\n\r\n", 400, "bad_request"),
    "tab before the colon": (FULL + "X\t: a\r\n\r\n", 400, "bad_request"),
    "space before Content-Length's colon": (FULL + "Content-Length : 3\r\n\r\nabc", 400, "bad_request"),
    "space in a name": (FULL + "X Y: a\r\n\r\n", 400, "bad_request"),
    "space before the first field": ("GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400, "bad_request"),
    "folding with a space": (FULL + "X: a\r\n b\r\n\r\n", 400, "bad_request"),
    "folding with a tab": (FULL + "X: a\r\n\tb\r\n\r\n", 400, "bad_request"),
    "folded Transfer-Encoding": (FULL + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),
    "empty name": (FULL + ": a\r\n\r\n", 400, "bad_request"),
    "no colon": (FULL + "X\r\n\r\n", 400, "bad_request"),
    "not ASCII in a name": (FULL + "X\xe9: a\r\n\r\n", 400, "bad_request"),
    "bracket in a name": (FULL + "X(Y): a\r\n\r\n", 400, "bad_request"),

    "two different Content-Lengths": (FULL + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400, "bad_request"),
    "two equal Content-Lengths": (FULL + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400, "bad_request"),
    "a list of Content-Lengths": (FULL + "Content-Length: 3, 3\r\n\r\nabc", 400, "bad_request"),
    "signed Content-Length": (FULL + "Content-Length: +3\r\n\r\nabc", 400, "bad_request"),
    "negative Content-Length": (FULL + "Content-Length: -1\r\n\r\n", 400, "bad_request"),
    "hexadecimal Content-Length": (FULL + "Content-Length: 0x3\r\n\r\nabc", 400, "bad_request"),
    "Content-Length with a point": (FULL + "Content-Length: 3.0\r\n\r\nabc", 400, "bad_request"),
    "Content-Length with a space": (FULL + "Content-Length: 1 0\r\n\r\n0123456789", 400, "bad_request"),
    "empty Content-Length": (FULL + "Content-Length: \r\n\r\n", 400, "bad_request"),
    "Content-Length beyond 2^63": (FULL + "Content-Length: 9223372036854775808\r\n\r\n", 400, "bad_request"),
    "Content-Length beyond 2^64": (FULL + "Content-Length: 18446744073709551619\r\n\r\nabc", 400, "bad_request"),

    "Content-Length, then Transfer-Encoding":
        (FULL + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),
    "Transfer-Encoding, then Content-Length":
        (FULL + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400, "bad_request"),
    "Transfer-Encoding: identity": (FULL + "Transfer-Encoding: identity\r\n\r\n", 400, "bad_request"),
    "Transfer-Encoding: gzip": (FULL + "Transfer-Encoding: gzip\r\n\r\n", 400, "bad_request"),
    "Transfer-Encoding: gzip, chunked": (FULL + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),
    "Transfer-Encoding: chunked, gzip": (FULL + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400, "bad_request"),
    "Transfer-Encoding: chunked, chunked":
        (FULL + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),
    "Transfer-Encoding: xchunked": (FULL + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),
    "Transfer-Encoding with a vertical tab":
        (FULL + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),
    "Transfer-Encoding in quotes": (FULL + 'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n', 400, "bad_request"),
    "empty Transfer-Encoding": (FULL + "Transfer-Encoding:\r\n\r\n", 400, "bad_request"),
    "two Transfer-Encodings":
        (FULL + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400, "bad_request"),
    "Transfer-Encoding in HTTP/1.0":
        ("POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),

    "no Host": ("GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
    "two Hosts": ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_request"),
    "two equal Hosts": ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "bad_request"),
    "two Hosts in HTTP/1.0": ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_request"),
    "Host with a space": ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "bad_request"),
    "Host with a path": ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "bad_request"),
    "Host with a user": ("GET / HTTP/1.1\r\nHost: me@a\r\n\r\n", 400, "bad_request"),
    "Host with two ports": ("GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", 400, "bad_request"),
    "a list of Hosts": ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "bad_request"),
    "bad authority in the target": ("GET http://a@b/ HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),

    "%00 in the path": ("GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "control character in the target": ("GET /a\x01b HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "tab in the target": ("GET /a\tb HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "DEL in the target": ("GET /a\x7fb HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "space in the target": ("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "fragment in the target": ("GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "backslash": ("GET /a\\b HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "encoded backslash": ("GET /a%5cb HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "bad percent sign": ("GET /a%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "climbing above the root": ("GET /../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "climbing above the root, further in": ("GET /a/../../b HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "climbing above the root, encoded": ("GET /%2e%2E/b HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "a target that is no path": ("GET index.html HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "* for GET": ("GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "another scheme": ("GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),

    "bad method": ("GE(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "NUL in the method": ("GE\0T / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "no method": (" / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "CONNECT": ("CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", 405, "not_supported"),
    "HTTP/2.0": ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, "not_supported"),
    "HTTP/2's preface": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "not_supported"),
    "HTTP/1.2": ("GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505, "not_supported"),
    "HTTP/3.0": ("GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505, "not_supported"),
    "HTTP/0.9": ("GET /\r\n", 400, "bad_request"),
    "HTTP/1": ("GET / HTTP/1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "HTTP/01.1": ("GET / HTTP/01.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "http/1.1 in small letters": ("GET / http/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "two spaces in the request line": ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "tab in the request line": ("GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "space after the version": ("GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400, "bad_request"),
    "unknown expectation": (FULL + "Expect: the-unexpected\r\n\r\n", 417, "not_supported"),
    "upgrade with a body": (FULL + "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc",
                            400, "bad_request"),

    "TLS ClientHello": ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\xaa" * 64, 400, "bad_request"),
    "SSH": ("SSH-2.0-OpenSSH_9.2\r\n", 400, "bad_request"),
    "garbage": ("\x00\x01\x02\xff\xfe" * 20, 400, "bad_request"),
    "three empty lines first": ("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
}

# Bodies, after a head that is good. Whole, nothing of them reaches the backend; byte by byte, no whole request.
CHUNKED = "POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
BODIES = {
    "no size": CHUNKED + "\r\nabc\r\n0\r\n\r\n",
    "size that is no number": CHUNKED + "xyz\r\nabc\r\n0\r\n\r\n",
    "size with 0x": CHUNKED + "0x3\r\nabc\r\n0\r\n\r\n",
    "negative size": CHUNKED + "-3\r\nabc\r\n0\r\n\r\n",
    "signed size": CHUNKED + "+3\r\nabc\r\n0\r\n\r\n",
    "size with a space before": CHUNKED + " 3\r\nabc\r\n0\r\n\r\n",
    "size with a space behind": CHUNKED + "3 \r\nabc\r\n0\r\n\r\n",
    "size of 17 digits": CHUNKED + "00000000000000003\r\nabc\r\n0\r\n\r\n",
    "size beyond 2^63": CHUNKED + "8000000000000000\r\nabc\r\n0\r\n\r\n",
    "size beyond 2^64": CHUNKED + "10000000000000003\r\nabc\r\n0\r\n\r\n",
    "size line ending in LF": CHUNKED + "3\nabc\r\n0\r\n\r\n",
    "size line ending in CR": CHUNKED + "3\rabc\r\n0\r\n\r\n",
    "data ending in LF": CHUNKED + "3\r\nabc\n0\r\n\r\n",
    "data longer than its size": CHUNKED + "3\r\nabcd\r\n0\r\n\r\n",
    "data shorter than its size": CHUNKED + "5\r\nabc\r\n0\r\n\r\n",
    "NUL in an extension": CHUNKED + "3;a=\0\r\nabc\r\n0\r\n\r\n",
    "bare LF in an extension": CHUNKED + "3;a\nb\r\nabc\r\n0\r\n\r\n",
    "endless extension": CHUNKED + "3;" + "a" * 5000,
    "last chunk ending in LF": CHUNKED + "3\r\nabc\r\n0\n\n",
    "trailer without a colon": CHUNKED + "0\r\nX\r\n\r\n",
    "trailer with a space before the colon": CHUNKED + "0\r\nX : y\r\n\r\n",
    "folded trailer": CHUNKED + "0\r\nX: y\r\n z\r\n\r\n",
    "trailer with a bare CR": CHUNKED + "0\r\nX: y\rz\r\n\r\n",
}


@pytest.fixture
def watched(raw_backend, start_palier):
    """(palier, backend): every byte that reaches the backend is on record."""
    backend = raw_backend()
    return start_palier(site([server("a", backend.address)], workers=1)), backend


def check_refusal(client, status: int) -> None:
    """One answer that says close, and the close."""
    answer = client.read_response()
    assert answer.status == status, answer.raw
    assert answer.get("Connection", "").lower() == "close"
    assert client.read_until_close() == b""


@pytest.mark.parametrize("delivery", ["whole", "bytewise"])
def test_bad_heads_are_refused(watched, delivery):
    palier, backend = watched
    with palier.connect() as honest:
        assert honest.request("GET", "/honest").status == 200
        known = backend.received
        for name, (text, status, _) in HEADS.items():
            with palier.connect() as client:
                try:
                    (client.send if delivery == "whole" else client.send_bytewise)(text)
                except ConnectionError:
                    pass  # refused before its last byte
                try:
                    check_refusal(client, status)
                except (AssertionError, ConnectionEnded, TimeoutError, ValueError, IndexError) as wrong:
                    pytest.fail(f"{name}: {wrong!r}; {palier.events()[-500:]}")
            assert backend.received == known, f"{name}: the backend got {backend.received[len(known):]!r}"
        # The other client's connection, and palier's to the backend, go on as if nothing had been.
        assert honest.request("GET", "/honest").status == 200
    assert (backend.accepted, backend.served) == (1, 2)
    lines = palier.wait_access_log(len(HEADS) + 2)[1:-1]
    for (name, (_, status, reason)), line in zip(HEADS.items(), lines, strict=True):
        assert (line["status"], line["reason"]) == (status, reason), name


def test_bad_chunks_are_refused_before_a_backend_sees_them(watched):
    palier, backend = watched
    for name, text in BODIES.items():
        with palier.connect() as client:
            client.send(text)
            if name == "data shorter than its size":
                client.half_close()
            check_refusal(client, 400)
        assert backend.received == b"" and backend.accepted == 0, name
    assert palier.get("/next").status == 200
    assert backend.served == 1
    lines = palier.wait_access_log(len(BODIES) + 1)
    assert {(line["status"], line["reason"]) for line in lines[:-1]} == {(400, "bad_request")}


def test_bad_chunks_that_trickle_in_end_the_backends_connection(watched):
    """Their head was good and may have gone on. The body never becomes whole, and its connection carries nothing else."""
    palier, backend = watched
    for name, text in BODIES.items():
        with palier.connect() as client:
            try:
                client.send_bytewise(text)
            except ConnectionError:
                pass
            try:
                check_refusal(client, 400)
            except (ConnectionEnded, TimeoutError) as wrong:
                pytest.fail(f"{name}: {wrong!r}")
        assert palier.get("/next").status == 200
    assert [request.target for request in backend.requests] == ["/next"] * len(BODIES)
    for connection in backend.connections:
        _, _, rest = connection.received.partition(b"/chunks")
        assert b"GET" not in rest and b"POST" not in rest
    lines = palier.wait_access_log(2 * len(BODIES))
    assert [(line["status"], line["reason"]) for line in lines] == [(400, "bad_request"), (200, "ok")] * len(BODIES)


SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("text", [
    f"POST /front HTTP/1.1\r\nHost: x\r\nContent-Length: {len(SMUGGLED)}\r\n\r\n" + SMUGGLED,
    f"GET /front HTTP/1.1\r\nHost: x\r\nContent-Length: {len(SMUGGLED)}\r\n\r\n" + SMUGGLED,
    "POST /front HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    f"{len(SMUGGLED):x}\r\n{SMUGGLED}\r\n0\r\n\r\n",
    f"POST /front HTTP/1.1\r\nHost: x\r\nTransfer_Encoding: chunked\r\nContent-Length: {len(SMUGGLED)}\r\n\r\n" + SMUGGLED,
    f"POST /front HTTP/1.1\r\nHost: x\r\nX-Length: 0\r\nContent-Length: {len(SMUGGLED)}\r\nConnection: Content-Length"
    "\r\n\r\n" + SMUGGLED,
    "POST /front HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n\r\n"
    f"{len(SMUGGLED):x}\r\n{SMUGGLED}\r\n0\r\n\r\n",
    "POST /front HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: ChUnKeD\r\n\r\n"
    f"{len(SMUGGLED):x}\r\n{SMUGGLED}\r\n0\r\nContent-Length: 5\r\nX-Smuggle: {SMUGGLED.splitlines()[0]}\r\n\r\n",
], ids=["length", "GET with a body", "chunked", "odd spelling", "length named by Connection", "coding named by Connection",
        "length in a trailer"])
@pytest.mark.parametrize("delivery", ["whole", "bytewise"])
def test_what_is_a_body_stays_a_body(watched, text, delivery):
    """Each of these is one request, whatever its body looks like, for us and for the backend."""
    palier, backend = watched
    with palier.connect() as client:
        (client.send if delivery == "whole" else client.send_bytewise)(text)
        assert client.read_response().status == 200
        assert client.request("GET", "/after").status == 200
    assert [request.target for request in backend.requests] == ["/front", "/after"]
    front = backend.requests[0]
    assert front.body == SMUGGLED.encode()
    assert ("Content-Length" in front) is not front.chunked
    assert "Content-Length" not in dict(front.trailers)


@pytest.mark.parametrize("framing", [
    "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
    "Content-Length: 6\r\nTransfer-Encoding : chunked\r\n",
    "Content-Length: 6\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
    "Content-Length: 6\r\n Transfer-Encoding: chunked\r\n",
    "Content-Length: 6\r\nTransfer-Encoding:\x0bchunked\r\n",
    "Content-Length: 6\nTransfer-Encoding: chunked\r\n",
    "Content-Length: 0\r\nContent-Length: 6\r\n",
    "X: y\rContent-Length: 6\r\nContent-Length: 0\r\n",
])
def test_smuggling_pairs_reach_nobody(watched, framing):
    """The classics: two ways to read where the body ends. Neither reading arrives, nor the next victim's answer."""
    palier, backend = watched
    with palier.connect() as victim:
        assert victim.request("GET", "/victim-1").status == 200
        with palier.connect() as attacker:
            attacker.send(f"POST /front HTTP/1.1\r\nHost: x\r\n{framing}\r\n0\r\n\r\nG" + SMUGGLED)
            check_refusal(attacker, 400)
        assert victim.request("GET", "/victim-2").status == 200
    assert [request.target for request in backend.requests] == ["/victim-1", "/victim-2"]
    assert b"smuggled" not in backend.received and b"/front" not in backend.received


def test_pipelined_request_behind_a_bad_one_is_not_served(watched):
    palier, backend = watched
    with palier.connect() as client:
        client.send("GET /first HTTP/1.1\r\nHost: x\r\n\r\n"
                    "GET /bad HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n"
                    "GET /third HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_response().status == 200
        check_refusal(client, 400)
    assert [request.target for request in backend.requests] == ["/first"]


def test_refusal_is_a_page_that_names_no_more_than_it_must(watched):
    palier, _ = watched
    with palier.connect() as client:
        client.send("GET /<script>alert(1)</script> HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n")
        answer = client.read_response()
    assert answer.status == 400 and answer.get("Server") == "palier"
    assert b"script>" not in answer.body


def test_refusals_of_many_clients_at_once_leave_the_honest_alone(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(response("ok")).address)], workers=2))
    with palier.connect() as honest:
        clients = [palier.connect() for _ in range(50)]
        for index, client in enumerate(clients):
            client.send(list(HEADS.values())[index % len(HEADS)][0])
            assert honest.request().body == b"ok"
        for index, client in enumerate(clients):
            check_refusal(client, list(HEADS.values())[index % len(HEADS)][1])
            client.close()
        assert honest.request().body == b"ok"
