"""Each stream flows as its own reader reads: one that stalls holds up no other, and costs little memory."""

import threading
import time

import pytest
from harness import SANITIZED, client_context, duration, response, route, seconds, server, wait_for
from harness.h2_client import H2Client, h2_site
from harness.h2_frames import INITIAL_WINDOW, H2Error, request_fields, settings_frame, window_update
from harness.h2_raw import RawH2Client

MEMORY_LIMIT = 40 << 20
LARGE = (8 << 20) if SANITIZED else (100 << 20)
PIECE = bytes(i % 251 for i in range(1 << 16)) * 4


def check_memory(palier) -> None:
    if not SANITIZED:
        assert palier.peak_resident() < MEMORY_LIMIT, f"{palier.peak_resident() >> 20} MiB"


def reason_of(palier, path: str) -> str:
    """Why the only exchange for `path` ended."""
    lines = wait_for(lambda: [line for line in palier.access_log() if line["path"] == path], f"{path} in the log")
    assert len(lines) == 1
    return lines[0]["reason"]


def send_large(connection) -> None:
    """A backend that answers every request with LARGE bytes."""
    while True:
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n")
        for _ in range(LARGE // len(PIECE)):
            connection.send(PIECE)


def download(client: RawH2Client) -> float:
    """How long LARGE bytes took."""
    began = time.monotonic()
    stream = client.open(request_fields("GET", "/fast"), keep=False, extra=window_update(client.next_id, 16 << 20))
    client.finish(stream, timeout=60)
    assert stream.size == LARGE
    return time.monotonic() - began


def open_wide(client: RawH2Client) -> None:
    client.send(window_update(0, 2**31 - 1 - 65535))
    client.replenish = 1 << 20


def test_stalled_download_leaves_another_at_full_speed(raw_backend, start_palier):
    palier = start_palier(h2_site([server("a", raw_backend(handler=send_large).address)]))
    with RawH2Client(palier.port) as client:
        open_wide(client)
        alone = download(client)
        stalled = client.open(request_fields("GET", "/stalled"), held=True, keep=False)
        client.wait(lambda: stalled.size == 65535, "the stalled stream's whole window")
        beside = download(client)
        assert beside < 3 * alone + seconds(1), (alone, beside)
        assert stalled.size == 65535 and not stalled.over
        check_memory(palier)
        stalled.held = False  # and it goes on where it stopped
        client.send(window_update(stalled.id, 16 << 20))
        client.finish(stalled, timeout=60)
        assert stalled.size == LARGE
    check_memory(palier)


def test_many_stalled_downloads_hold_little(raw_backend, start_palier):
    palier = start_palier(h2_site([server("a", raw_backend(handler=send_large).address)]))
    with RawH2Client(palier.port, settings={INITIAL_WINDOW: 1}) as client:
        open_wide(client)
        streams = [client.open(request_fields("GET", "/stalled"), held=True, keep=False) for _ in range(90)]
        client.wait(lambda: all(stream.size == 1 for stream in streams), "a byte on each")
        download(client)
        check_memory(palier)


def test_shut_connection_window_stops_all_and_loses_nothing(raw_backend, start_palier):
    body = PIECE
    palier = start_palier(h2_site([server("a", raw_backend(response(body)).address)]))
    with RawH2Client(palier.port, settings={INITIAL_WINDOW: 1 << 20}) as client:
        streams = [client.open(request_fields("GET", "/")) for _ in range(8)]
        client.wait(lambda: sum(stream.size for stream in streams) == 65535, "the connection's whole window")
        for _ in range(8 * len(body) // 65536):
            client.send(window_update(0, 65536))
        client.wait(lambda: all(stream.over for stream in streams), "all bodies")
        assert all(stream.body == body for stream in streams)


def test_windows_of_one_byte(raw_backend, start_palier):
    palier = start_palier(h2_site([server("a", raw_backend(response("twenty bytes of body")).address)]))
    with RawH2Client(palier.port, settings={INITIAL_WINDOW: 0}) as client:
        stream = client.open(request_fields("GET", "/"))
        client.wait(lambda: stream.status == 200, "the head, which needs no window")
        for size in range(20):
            assert (stream.size, stream.over) == (size, False)
            client.send(window_update(1, 1))
            client.wait(lambda: stream.size > size, "another byte")
        assert client.finish(stream).body == b"twenty bytes of body"


def test_initial_window_that_shrinks_below_nothing(raw_backend, start_palier):
    """RFC 9113 section 6.9.2: a window may become negative."""
    palier = start_palier(h2_site([server("a", raw_backend(response(PIECE)).address)]))
    with RawH2Client(palier.port, settings={INITIAL_WINDOW: 10_000}) as client:
        client.send(window_update(0, 1 << 20))
        stream = client.open(request_fields("GET", "/"))
        client.wait(lambda: stream.size == 10_000, "the first window")
        client.send(settings_frame({INITIAL_WINDOW: 0}) + window_update(1, 5_000))
        client.wait(lambda: client.settings_acknowledged == 2, "the acknowledgement")
        client.send(window_update(1, 5_001))
        client.wait(lambda: stream.size == 10_001, "one byte more")
        client.send(settings_frame({INITIAL_WINDOW: 1 << 20}))
        assert client.finish(stream).body == PIECE


def test_stream_whose_window_stays_shut_is_reset(raw_backend, start_palier):
    backend = raw_backend(lambda request: response(PIECE if request.target == "/stalled" else b"ok"))
    palier = start_palier(h2_site([server("a", backend.address)], timeouts={"client_write": duration(0.7)}))
    with RawH2Client(palier.port, settings={INITIAL_WINDOW: 1000}) as client:
        began = time.monotonic()
        stalled = client.open(request_fields("GET", "/stalled"))
        while stalled.reset is None:
            assert client.get("/other").body == b"ok"
            assert time.monotonic() < began + seconds(10)
        assert time.monotonic() - began >= seconds(0.6)
        assert (stalled.size, stalled.ended) == (1000, False)
        assert client.get("/other").body == b"ok" and not client.goaways
    assert reason_of(palier, "/stalled") == "client_write_timeout"


def test_slow_reader_is_not_a_stalled_one(raw_backend, start_palier):
    """A little at a time, for longer than the timeout."""
    palier = start_palier(h2_site([server("a", raw_backend(response(PIECE)).address)],
                                  timeouts={"client_write": duration(0.6)}))
    with RawH2Client(palier.port, settings={INITIAL_WINDOW: 1000}) as client:
        client.send(window_update(0, 1 << 20))
        stream = client.open(request_fields("GET", "/"))
        until = time.monotonic() + seconds(1.5)
        while time.monotonic() < until:
            size = stream.size + 1000
            client.send(window_update(1, 1000))
            client.wait(lambda: stream.size >= size or stream.over, "a little more")
            assert not stream.over
            pause = time.monotonic() + seconds(0.1)
            while time.monotonic() < pause:  # a peer that paces its reading
                client.poll()
                time.sleep(0.005)
        client.send(window_update(1, 1 << 20))
        assert client.finish(stream).body == PIECE


@pytest.fixture(params=["plain", "tls"])
def impatient(request, raw_backend, start_palier, secure):
    """impatient(handler, seconds): a client with a small receive buffer and open windows, of a palier whose client_write
    is so long; and that palier."""
    def start(handler, patience: float):
        timeouts, backend = {"client_write": duration(patience)}, raw_backend(handler=handler)
        if request.param == "tls":
            palier = secure(backend, timeouts=timeouts, workers=1)
        else:
            palier = start_palier(h2_site([server("a", backend.address)], timeouts=timeouts))
        client = RawH2Client(palier.port, tls=client_context(alpn=["h2"]) if request.param == "tls" else None,
                             settings={INITIAL_WINDOW: 1 << 30}, receive_buffer=16384)
        return client.send(window_update(0, 1 << 30)), palier

    return start


def test_slow_reader_of_a_full_socket_is_not_a_stalled_one(impatient):
    """What its kernel takes is progress for the connection and its streams, though the socket does not say so for
    long."""
    size = 8 << 20

    def handler(connection):
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")
        for _ in range(size // len(PIECE)):
            connection.send(PIECE)

    client, palier = impatient(handler, patience := 1.0)
    with client:
        streams = [client.open(request_fields("GET", path), keep=False) for path in ("/one", "/two")]
        client.wait(lambda: all(stream.size for stream in streams), "the first bytes")
        began, first = time.monotonic(), sum(stream.size for stream in streams)
        while (passed := time.monotonic() - began) < seconds(3.5 * patience):
            assert not client.closed and not any(stream.over for stream in streams), client.story()
            if sum(stream.size for stream in streams) - first < passed * (200 << 10) / seconds(patience):
                client.poll()
            else:
                time.sleep(0.01)
        for stream in streams:
            assert client.finish(stream, timeout=30).size == size
    assert reason_of(palier, "/one") == reason_of(palier, "/two") == "ok"


def test_client_that_reads_nothing_is_given_up(impatient):
    """In its time, with all its streams."""
    def handler(connection):
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n")
        for _ in range(LARGE // len(PIECE)):
            connection.send(PIECE)

    client, palier = impatient(handler, patience := 2.0)
    with client:
        for path in ("/one", "/two"):
            client.open(request_fields("GET", path), keep=False)
        for line in palier.wait_access_log(2):
            assert line["reason"] == "client_write_timeout"
            assert seconds(patience) <= line["total_ms"] / 1000 < 1.4 * seconds(patience)


class Counted:
    """Sends on a stream as far as its window lets it."""

    def __init__(self, client: H2Client, stream):
        self.client, self.stream, self.sent = client, stream, 0

    def send_what_goes(self) -> bool:
        """Whether anything went."""
        self.client.poll()
        size = min(self.client.window(self.stream), 16384)
        if size <= 0 or self.stream.over:
            return False
        self.client.h2.send_data(self.stream.id, PIECE[:size])
        self.client._flush()
        self.sent += size
        return True

    def wait_until_stalled(self) -> int:
        """Until nothing went for half a second."""
        last = [time.monotonic()]

        def stalled() -> bool:
            while self.send_what_goes():
                last[0] = time.monotonic()
            return time.monotonic() - last[0] > seconds(0.5)

        wait_for(stalled, "the upload to be held back", timeout=30)
        return self.sent


def test_stalled_upload_is_held_back_and_leaves_others_at_full_speed(raw_backend, start_palier):
    read_on = threading.Event()

    def stubborn(connection):
        request = connection.read_head()
        connection.wait(read_on)
        connection.read_body(request)
        connection.send(response(str(len(request.body))))

    good = raw_backend(lambda request: response(str(len(request.body))))
    bad = raw_backend(handler=stubborn)
    palier = start_palier(h2_site([server("a", good.address)],
                                  pools=[{"name": "bad", "server": [server("s", bad.address)]}],
                                  route=[route("web"), route("bad", path="/stubborn")]))
    with H2Client(palier.port) as client:
        uploads = [Counted(client, client.start("POST", "/stubborn", end=False)) for _ in range(2)]
        for upload in uploads:
            assert upload.wait_until_stalled() < 16 << 20
        body = PIECE * 16
        for _ in range(2):
            answer = client.request("POST", "/good", body=body, timeout=30)
            assert int(answer.body) == len(body)
        assert client.request("GET", "/good").body == b"0"
        check_memory(palier)
        read_on.set()
        for upload in uploads:
            client.send_body(upload.stream, b"the rest", end=True, timeout=30)
            assert int(client.finish(upload.stream, timeout=30).body) == upload.sent + 8


def test_upload_that_stops_is_408_and_others_go_on(raw_backend, start_palier):
    palier = start_palier(h2_site([server("a", raw_backend(response("ok")).address)],
                                  timeouts={"client_body": duration(0.5)}))
    with H2Client(palier.port) as client:
        stopped = client.start("POST", "/stopped", end=False)
        client.send_body(stopped, b"some")
        while not stopped.over:
            assert client.request("GET", "/other").body == b"ok"
        assert stopped.status == 408 or stopped.reset is not None
        assert client.request("POST", "/other", body=b"x").body == b"ok"
    assert reason_of(palier, "/stopped") == "client_timeout_body"


def test_backend_that_stops_in_its_answer_resets_its_stream(raw_backend, start_palier):
    def handler(connection):
        request = connection.read_request()
        connection.send(response("ok") if request.target == "/other" else
                        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        connection.stall()

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)],
                                  timeouts={"server": duration(0.5)}))
    with H2Client(palier.port) as client:
        stream = client.start()
        assert client.wait_reset(stream) == H2Error.INTERNAL_ERROR
        assert (stream.status, stream.body, stream.ended) == (200, b"12345", False)
        assert client.request("GET", "/other").body == b"ok"


@pytest.mark.parametrize("settings", [{1: 0}, {1: 65536}, {1: 2**32 - 1}, {5: 1 << 20}, {5: 2**24 - 1}, {6: 1}],
                         ids=["no table", "a large table", "the largest table", "large frames", "largest frames",
                              "a small list"])
def test_settings_of_a_client_cost_nothing(raw_backend, start_palier, settings):
    """Whatever it offers to take, palier need not give."""
    answers = response(PIECE * 4, **{f"X_Field_{n}": f"{n}" * 100 for n in range(50)})
    palier = start_palier(h2_site([server("a", raw_backend(answers).address)]))
    with RawH2Client(palier.port, settings={INITIAL_WINDOW: 1 << 24, **settings}) as client:
        open_wide(client)
        for _ in range(20):
            assert client.get().body == PIECE * 4
    check_memory(palier)
