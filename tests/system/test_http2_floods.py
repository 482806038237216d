"""What a client may make palier do beside its requests has an end: GOAWAY ENHANCE_YOUR_CALM, a close, one line in the
log; and nobody else notices, least of all the memory (CVE-2019-9511 to 9518, CVE-2023-44487, CVE-2024-27316,
CVE-2025-8671)."""

import re
import socket
import struct
import time

import pytest
from harness import SANITIZED, duration, response, seconds, server, wait_for
from harness.h2_client import H2Client, bystander, h2_site
from harness.h2_frames import (CONTINUATION, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW, PING, PRIORITY,
                               PRIORITY_UPDATE, SETTINGS, H2Error, data_frame, frame, request_fields, reset_frame,
                               settings_frame, window_update)
from harness.h2_raw import RawH2Client

MEMORY_LIMIT = 40 << 20
FLOOD_LINE = r"connection of \S+ closed: too many HTTP/2 (.*)"
MOST = 20_000  # of anything: an honest client sends far less of it in so short a time


@pytest.fixture
def flooded(raw_backend, start_palier):
    """flooded(**keys) → (palier, backend)"""
    def start(**config):
        backend = raw_backend(response("ok"))
        return start_palier(h2_site([server("a", backend.address)], **config)), backend

    return start


def check_memory(palier) -> None:
    if not SANITIZED:
        assert palier.peak_resident() < MEMORY_LIMIT, f"{palier.peak_resident() >> 20} MiB"


def check_calmed(palier, client: RawH2Client, word: str) -> None:
    """The client was told why, its connection is closed, and the log says so once."""
    assert client.wait_goaway() == H2Error.ENHANCE_YOUR_CALM, client.story()
    palier.wait_event(FLOOD_LINE)
    lines = re.findall(FLOOD_LINE, palier.events())
    assert len(lines) == 1 and word in lines[0], lines
    check_memory(palier)


def odd(number: int) -> int:
    return 2 * number + 1


def open_post(client: RawH2Client) -> int:
    """A stream whose request goes on."""
    return client.open(request_fields("POST", "/upload"), end=False, extra=data_frame(client.next_id, b"x")).id


FLOODS = {
    "SETTINGS": ("SETTINGS", lambda n: frame(SETTINGS)),
    "SETTINGS with entries": ("SETTINGS", lambda n: settings_frame({INITIAL_WINDOW: 65535 + n % 2})),
    "PING": ("PING", lambda n: frame(PING, 0, 0, struct.pack("!Q", n))),
    "answers to no PING": ("PING", lambda n: frame(PING, 1, 0, struct.pack("!Q", n))),
    "PRIORITY of idle streams": ("PRIORITY", lambda n: frame(PRIORITY, 0, 2 * n + 101, b"\0\0\0\0\x10")),
    "PRIORITY of one stream": ("PRIORITY", lambda n: frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")),
    "PRIORITY_UPDATE": ("PRIORITY", lambda n: frame(PRIORITY_UPDATE, 0, 0, struct.pack("!I", 1) + b"u=1")),
    "WINDOW_UPDATE of the connection": ("WINDOW_UPDATE", lambda n: window_update(0, 1)),
    "WINDOW_UPDATE of a stream": ("WINDOW_UPDATE", lambda n: window_update(1, 1)),
    "empty DATA": ("without content", lambda n: data_frame(1, b"")),
    "padded empty DATA": ("without content", lambda n: data_frame(1, b"", padding=1)),
    "PING, SETTINGS and WINDOW_UPDATE by turns": (
        "", lambda n: [frame(PING, 0, 0, bytes(8)), frame(SETTINGS), window_update(0, 1)][n % 3]),
}


@pytest.mark.parametrize("name", FLOODS)
def test_control_frames(flooded, name):
    palier, _ = flooded()
    word, make = FLOODS[name]
    with bystander(palier.port), RawH2Client(palier.port) as client:
        open_post(client)
        client.flood(make, MOST)
        check_calmed(palier, client, word)


def test_control_frames_that_nobody_reads_the_answers_of(flooded):
    palier, _ = flooded()
    with bystander(palier.port), RawH2Client(palier.port, answers=False, receive_buffer=4096) as client:
        with pytest.raises((ConnectionError, TimeoutError)):
            for number in range(MOST):
                client.send(frame(PING, 0, 0, struct.pack("!Q", number)) * 20)
        palier.wait_event(FLOOD_LINE)
        check_memory(palier)


def test_honest_control_frames_are_no_flood(flooded):
    """What browsers and tools do, and more of it."""
    palier, backend = flooded()
    with RawH2Client(palier.port) as client:
        for number in range(30):
            client.send(frame(PING, 0, 0, bytes(8)) + settings_frame({INITIAL_WINDOW: 1 << 20}) +
                        window_update(0, 1000) + frame(PRIORITY, 0, 2 * number + 1001, b"\0\0\0\0\x10"))
        for _ in range(100):
            assert client.get().status == 200
            client.send(window_update(0, 10) + window_update(client.next_id - 2, 10))
        client.wait(lambda: client.pings_answered == 30 and client.settings_acknowledged == 31, "all acknowledgements")
        assert not client.goaways
    assert backend.served == 100 and "too many" not in palier.events()


def test_rapid_reset(flooded):
    palier, backend = flooded()
    with bystander(palier.port), RawH2Client(palier.port) as client:
        head = request_fields("GET", "/rapid")
        client.flood(lambda n: client.headers_frame(odd(n), head) + reset_frame(odd(n)), MOST)
        check_calmed(palier, client, "reset")
    assert backend.accepted < 500


def test_rapid_reset_in_two_steps(flooded):
    """The requests are at work when they are reset."""
    palier, backend = flooded()
    with bystander(palier.port), RawH2Client(palier.port) as client:
        head, batch = request_fields("GET", "/rapid"), 20

        def step(number: int) -> bytes:
            """A batch of requests, then a batch of resets."""
            half, index = number // batch % 2, number // (2 * batch) * batch + number % batch
            return reset_frame(odd(index)) if half else client.headers_frame(odd(index), head)

        client.flood(step, MOST, batch)
        check_calmed(palier, client, "reset")
    assert backend.accepted < 1000


def test_resets_that_traffic_explains_are_no_flood(flooded):
    """A user who leaves each page after its first pictures."""
    palier, _ = flooded()
    with RawH2Client(palier.port) as client:
        for _ in range(100):
            left = client.open(request_fields("GET", "/left"))
            client.send(reset_frame(left.id))
            assert client.get("/seen").status == 200
        assert not client.goaways


MADE_RESETS = {
    "malformed requests": lambda client, n: client.headers_frame(odd(n), [*request_fields(), ("X-Bad", "1")]),
    "bodies longer than promised": lambda client, n: client.headers_frame(
        odd(n), request_fields("POST", "/made", ("content-length", "1")), end=False) + data_frame(odd(n), b"12"),
    "bodies shorter than promised": lambda client, n: client.headers_frame(
        odd(n), request_fields("POST", "/made", ("content-length", "3")), end=False) +
    data_frame(odd(n), b"12", end=True),
    "windows too large": lambda client, n: client.headers_frame(odd(n), request_fields("GET", "/made")) +
    window_update(odd(n), 0x7fffffff),
    "updates by nothing": lambda client, n: client.headers_frame(odd(n), request_fields("GET", "/made")) +
    window_update(odd(n), 0),
    "bodies after their end": lambda client, n: client.headers_frame(odd(n), request_fields("GET", "/made")) +
    data_frame(odd(n), b"more"),
    "heads after their end": lambda client, n: client.headers_frame(odd(n), request_fields("GET", "/made")) +
    client.headers_frame(odd(n), [("x-trailer", "1")]),
    "bad trailers": lambda client, n: client.headers_frame(odd(n), request_fields("POST", "/made"), end=False) +
    client.headers_frame(odd(n), [("X-Bad", "1")]),
}


@pytest.mark.parametrize("name", MADE_RESETS)
def test_made_you_reset(flooded, name):
    """Resets that we are made to send count as those that are received. (nghttp2 ends the connection at once for some
    of these, which RFC 9113 section 5.4.2 allows.)"""
    palier, backend = flooded()
    with bystander(palier.port), RawH2Client(palier.port) as client:
        client.flood(lambda n: MADE_RESETS[name](client, n), MOST)
        error = client.wait_goaway()
        if error == H2Error.ENHANCE_YOUR_CALM:
            check_calmed(palier, client, "")  # many of them in one piece may be too many of something else first
        else:
            assert error in (H2Error.PROTOCOL_ERROR, H2Error.STREAM_CLOSED, H2Error.FLOW_CONTROL_ERROR), error
        check_memory(palier)
    assert backend.accepted < 500


@pytest.mark.parametrize("piece", [b"", None, b"\0\x01a\x01b", b"\0\x01a\x7f\xfb\x7e" + b"v" * (16384 - 6)],
                         ids=["empty", "one byte", "a field", "16 KiB"])
def test_head_without_end(flooded, piece):
    palier, _ = flooded()
    with bystander(palier.port), RawH2Client(palier.port, answers=False) as client:
        client.send(client.headers_frame(1, request_fields(), flags=0))
        field = b"\0\x01a\x7f\xe1\xd3\x03" + b"v" * MOST  # 60,000 bytes long, says its beginning
        client.flood(lambda n: frame(CONTINUATION, 0, 1, field[n:n + 1] if piece is None else piece), MOST, 10)
        check_calmed(palier, client, "CONTINUATION frames or header fields")


@pytest.mark.parametrize("state", ["refused", "trailers", "malformed"])
def test_head_without_end_on_a_stream_that_is_none(flooded, state):
    """Also where nobody looks at the fields any more."""
    palier, _ = flooded(limits={"streams": 1})
    with bystander(palier.port), RawH2Client(palier.port, answers=False) as client:
        if state == "malformed":
            client.send(client.headers_frame(1, [*request_fields(), ("X-Bad", "1")], flags=0))
            last = 1
        else:
            open_post(client)
            last = 3 if state == "refused" else 1
            fields = request_fields() if state == "refused" else [("x-trailer", "1")]
            client.send(client.headers_frame(last, fields, flags=0))
        client.flood(lambda n: frame(CONTINUATION, 0, last, b"\0\x01a\x01b"), MOST, 10)
        assert client.wait_goaway() != H2Error.NO_ERROR
        check_memory(palier)


@pytest.mark.parametrize("name", ["x-bomb", "cookie"])
@pytest.mark.parametrize("where", ["head", "trailers"])
def test_header_bomb(flooded, name, where):
    """Four thousand bytes for each byte on the wire."""
    palier, backend = flooded()
    bomb = [(name, "b" * 4000)] * 4000
    with bystander(palier.port), RawH2Client(palier.port) as client:
        if where == "head":
            message = client.headers_frame(1, [*request_fields(), *bomb])
        else:
            open_post(client)
            message = client.headers_frame(1, bomb)
        assert len(message) < 16384
        client.send(message)
        check_calmed(palier, client, "CONTINUATION frames or header fields")
    assert b"b" * 40 not in backend.received  # more than a request id of ours can have


def test_many_small_header_bombs(flooded):
    """Each below what ends a connection; all of them together cost nothing that lasts."""
    palier, backend = flooded()
    with bystander(palier.port), RawH2Client(palier.port) as client:
        client.send(window_update(0, 1 << 20))  # for the pages that say so
        bomb = [*request_fields(), *[("x-bomb", "b" * 4000)] * 20]
        streams = [client.open(bomb) for _ in range(100)]
        client.wait(lambda: all(stream.over for stream in streams) or client.closed, "all refusals")
        assert {stream.status for stream in streams} == {431}, client.story()
        check_memory(palier)
    assert b"b" * 40 not in backend.received  # more than a request id of ours can have


@pytest.mark.parametrize("fields, accepted", [
    ([("cookie", f"c{n}=1") for n in range(100)], True),
    ([("cookie", f"c{n}=1") for n in range(200)], False),
    ([("x-field", "1")] * 200, False),
    ([("x-long", "v" * 40_000)], False),
    ([("x-half", "v" * 10_000)] * 4, False),
    ([("x-empty", "")] * 200, False),
], ids=["some crumbs", "many crumbs", "many fields", "one long field", "long fields", "empty fields"])
def test_head_beyond_the_limits_is_431(flooded, fields, accepted):
    """128 fields and 32 KiB; each crumb of a cookie is a field."""
    palier, backend = flooded()
    with bystander(palier.port), RawH2Client(palier.port) as client:
        client.encoder.huffman = False
        block = client.encoder.encode(request_fields("GET", "/limit", *fields))
        stream = client.new_stream()
        pieces = [block[at:at + 16000] for at in range(0, len(block), 16000)]
        message = frame(HEADERS, END_STREAM | (END_HEADERS if len(pieces) == 1 else 0), 1, pieces[0])
        for piece in pieces[1:]:
            message += frame(CONTINUATION, END_HEADERS if piece is pieces[-1] else 0, 1, piece)
        client.send(message)
        assert client.finish(stream).status == (200 if accepted else 431)
        assert client.get("/next").status == 200
    targets = {request.target for request in backend.requests}
    assert targets == {"/bystander", "/next"} | ({"/limit"} if accepted else set())


@pytest.mark.parametrize("fields", [[("cookie", f"c{n}=1") for n in range(2000)], [("x-empty", "")] * 2000,
                                    [("", "")] * 2000], ids=["crumbs", "empty fields", "fields without a name"])
def test_very_many_fields(flooded, fields):
    palier, backend = flooded()
    with bystander(palier.port), RawH2Client(palier.port) as client:
        block = client.encoder.encode(request_fields("GET", "/limit", *fields))
        pieces = [block[at:at + 16384] for at in range(0, len(block), 16384)]
        message = frame(HEADERS, END_STREAM | (END_HEADERS if len(pieces) == 1 else 0), 1, pieces[0])
        for piece in pieces[1:]:
            message += frame(CONTINUATION, END_HEADERS if piece is pieces[-1] else 0, 1, piece)
        stream = client.new_stream()
        client.send(message)
        client.wait(lambda: stream.over or client.closed, "an end")
        if not client.goaways:  # an error of the stream will do where the first field is malformed
            assert stream.reset == H2Error.PROTOCOL_ERROR and fields[0][0] == "", client.story()
        else:
            check_calmed(palier, client, "CONTINUATION frames or header fields")
    assert {request.target for request in backend.requests} == {"/bystander"}


def test_client_that_never_reads_large_answers(raw_backend, start_palier):
    large = response(b"x" * (8 << 20))  # more than the kernel takes for one connection
    backend = raw_backend(lambda request: large if request.target == "/large" else response("ok"))
    palier = start_palier(h2_site([server("a", backend.address)], timeouts={"client_write": duration(1)}))
    with bystander(palier.port), RawH2Client(palier.port, settings={INITIAL_WINDOW: 2**31 - 1},
                                             receive_buffer=4096) as client:
        client.send(window_update(0, 2**31 - 1 - 65535))
        for _ in range(60):
            client.open(request_fields("GET", "/large"))
        lines = palier.wait_access_log(61)
        reasons = {line["reason"] for line in lines if line["path"] == "/large"}
        assert reasons <= {"client_write_timeout", "client_closed"}
        check_memory(palier)


def test_client_that_asks_and_never_reads(flooded):
    """Sooner or later its own requests are not taken any more, and then it is cut off."""
    palier, _ = flooded(timeouts={"client_write": duration(1)})
    with bystander(palier.port), RawH2Client(palier.port, answers=False, receive_buffer=4096) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        head = client.encoder.encode(request_fields("GET", "/"))
        head = client.encoder.encode(request_fields("GET", "/"))  # all of it in the table
        with pytest.raises(ConnectionError):
            deadline = time.monotonic() + seconds(60)
            number = 0
            while time.monotonic() < deadline:
                client.send(frame(HEADERS, END_HEADERS | END_STREAM, odd(number), head))
                number += 1
        check_memory(palier)


def test_windows_that_stay_shut_hold_little(raw_backend, start_palier):
    """A hundred answers of 10 MiB, none of which may leave."""
    size = 10 << 20

    def handler(connection):
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")
        for _ in range(size >> 20):
            connection.send(bytes(1 << 20))

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)],
                                  timeouts={"client_write": duration(1)}))
    with bystander(palier.port, "/closed"), RawH2Client(palier.port, settings={INITIAL_WINDOW: 0}) as client:
        streams = [client.open(request_fields("GET", "/")) for _ in range(100)]
        client.wait(lambda: all(stream.status == 200 for stream in streams), "all heads")
        client.wait(lambda: all(stream.reset is not None for stream in streams), "all resets", timeout=20)
        check_memory(palier)
        assert not client.goaways or client.goaways[0][0] == H2Error.ENHANCE_YOUR_CALM


def test_many_floods_are_one_line_a_second(flooded):
    palier, _ = flooded()
    with bystander(palier.port):
        began = time.monotonic()
        for _ in range(10):
            with RawH2Client(palier.port) as client:
                client.flood(lambda n: frame(PING, 0, 0, bytes(8)), MOST)
                assert client.wait_goaway() == H2Error.ENHANCE_YOUR_CALM
        took = time.monotonic() - began
    wait_for(lambda: re.search(FLOOD_LINE, palier.events()), "a line")
    assert 1 <= len(re.findall(FLOOD_LINE, palier.events())) <= took + 2


def test_flood_of_one_ends_with_its_connection(flooded):
    """The next connection of the same client begins at nothing."""
    palier, _ = flooded()
    for _ in range(3):
        with RawH2Client(palier.port) as client:
            client.flood(lambda n: frame(SETTINGS), MOST)
            assert client.wait_goaway() == H2Error.ENHANCE_YOUR_CALM
        with H2Client(palier.port) as client:
            assert client.request().status == 200
