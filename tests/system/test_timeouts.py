"""Every deadline of the configuration: it is kept, it is not early, and nothing but its own cause brings it."""

import socket
import threading
import time

import pytest
from harness import ConnectionEnded, FullBacklog, duration, response, seconds, server, site, wait_for
from harness.messages import read_slowly

SHORT = 0.4  # seconds, of the timeout that a test is about
PATIENCE = 5.0


class Stopwatch:
    def __init__(self):
        self._began = time.monotonic()

    def check(self, least: float = SHORT) -> None:
        """At least that long, and not much longer."""
        took = time.monotonic() - self._began
        assert seconds(least) - 0.05 <= took < seconds(least + PATIENCE), took


@pytest.fixture
def timed(raw_backend, start_palier):
    """timed({name: seconds}) starts palier with these timeouts before a backend: (palier, backend)."""
    def start(timeouts, answer=None, handler=None, **config):
        backend = raw_backend(answer or (None if handler else response("ok")), handler)
        config.setdefault("pool", {"retries": 0, "outlier": {"failures": 0}})
        return start_palier(site([server("a", backend.address)], workers=1, timeouts={
            name: duration(value) for name, value in timeouts.items()}, **config)), backend

    return start


def check_log(palier, index: int, status: int, reason: str) -> None:
    line = palier.wait_access_log(index + 1)[index]
    assert (line["status"], line["reason"]) == (status, reason)


def drip(client, text: str, every: float, until) -> None:
    """Sends `text` again and again, byte by byte, until `until()`; a peer that closes ends it too."""
    pause = threading.Event()
    while not until():
        for byte in text:
            if until():
                return
            try:
                client.send(byte)
            except OSError:
                return
            pause.wait(every)


def check_408(client) -> None:
    answer = client.read_response()
    assert answer.status == 408 and answer.get("Connection", "").lower() == "close"
    assert client.read_until_close() == b""


def test_client_header_of_a_silent_client(timed):
    """Nothing was asked, so nothing is answered."""
    palier, backend = timed({"client_header": SHORT})
    watch = Stopwatch()
    with palier.connect() as client:
        assert client.read_until_close() == b""
        watch.check()
    assert palier.get().status == 200
    assert [line["status"] for line in palier.wait_access_log(1)] == [200]


@pytest.mark.parametrize("begin", ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_client_header_that_stalls(timed, begin):
    palier, backend = timed({"client_header": SHORT})
    watch = Stopwatch()
    with palier.connect() as client:
        client.send(begin)
        check_408(client)
        watch.check()
    check_log(palier, 0, 408, "client_timeout_header")
    assert backend.accepted == 0


def test_slowloris(timed):
    """Each byte comes soon after the one before; it is the whole head that has a deadline."""
    palier, backend = timed({"client_header": SHORT})
    watch = Stopwatch()
    with palier.connect() as client, palier.connect() as honest:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n")
        drip(client, "X-Slow: loris\r\n", seconds(0.02), client.has_bytes)
        check_408(client)
        watch.check()
        assert honest.is_closed() or honest.request().status == 200
    assert backend.accepted == 0 or b"Slow" not in backend.received


def test_client_header_of_a_later_request(timed):
    """Idle until its first byte; then it has as long as the first had."""
    palier, _ = timed({"client_header": SHORT, "client_idle": 30})
    with palier.connect() as client:
        assert client.request().status == 200
        watch = Stopwatch()
        client.send("GET /second HTTP/1.1\r\nHo")
        check_408(client)
        watch.check()
    check_log(palier, 1, 408, "client_timeout_header")


def test_client_header_does_not_count_the_exchange(timed):
    """A request that was read in time may be answered long after."""
    release = threading.Event()

    def handler(connection):
        connection.read_request()
        connection.wait(release)
        connection.send(response("late"))

    palier, backend = timed({"client_header": SHORT, "client_idle": SHORT, "client_body": SHORT}, handler=handler)
    with palier.connect() as client:
        watch = Stopwatch()
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
        assert not release.wait(seconds(2 * SHORT))
        release.set()
        assert client.read_response().body == b"late"
        watch.check(2 * SHORT)


@pytest.mark.parametrize("framing, begin", [("Content-Length: 10\r\n", "1234"), ("Content-Length: 10\r\n", ""),
                                            ("Transfer-Encoding: chunked\r\n", "4\r\n12"),
                                            ("Transfer-Encoding: chunked\r\n", "4\r\n1234\r\n0\r\n")])
def test_client_body_that_stalls(timed, framing, begin):
    gone = threading.Event()

    def handler(connection):
        connection.read_until_close()
        gone.set()

    palier, backend = timed({"client_body": SHORT, "server": 30}, handler=handler)
    watch = Stopwatch()
    with palier.connect() as client:
        client.send(f"POST / HTTP/1.1\r\nHost: x\r\n{framing}\r\n{begin}")
        check_408(client)
        watch.check()
    check_log(palier, 0, 408, "client_timeout_body")
    wait_for(gone.is_set, "the end of the backend's connection")


def test_client_body_is_between_two_reads(timed):
    """A body may take as long as it likes, as long as it keeps coming; the backend's patience does not run meanwhile."""
    palier, backend = timed({"client_body": SHORT, "server": SHORT}, lambda request: response(request.body))
    watch = Stopwatch()
    with palier.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n")
        pause = threading.Event()
        for _ in range(15):
            client.send("x")
            pause.wait(seconds(SHORT / 5))
        assert client.read_response().body == b"x" * 15
        watch.check(2 * SHORT)


def test_client_idle(timed):
    palier, _ = timed({"client_idle": SHORT, "client_header": 30})
    with palier.connect() as client:
        pause = threading.Event()
        began = Stopwatch()
        for _ in range(4):
            assert client.request().status == 200
            pause.wait(seconds(SHORT / 2))
        began.check(2 * SHORT)
        watch = Stopwatch()
        assert client.read_until_close() == b""
        watch.check(SHORT / 2)
    assert len(palier.wait_access_log(4)) == 4


BIG = 64 << 20


def test_client_write_of_a_reader_that_stalls(timed):
    gone = threading.Event()

    def handler(connection):
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n")
        try:
            for _ in range(BIG // 65536):
                connection.send(b"x" * 65536)
        finally:
            gone.set()

    palier, _ = timed({"client_write": SHORT, "server": SHORT}, handler=handler)
    watch = Stopwatch()
    with palier.connect(receive_buffer=65536) as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(gone.is_set, "the end of the backend's connection")
        watch.check()
        check_log(palier, 0, 200, "client_write_timeout")
        with pytest.raises(ConnectionEnded):
            client.read_response()


def test_client_write_is_without_progress(timed):
    size = 8 << 20
    palier, _ = timed({"client_write": 2 * SHORT, "server": SHORT}, response(b"x" * size))
    watch = Stopwatch()
    with palier.connect(receive_buffer=65536) as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_head().status == 200
        pause = threading.Event()
        for _ in range(32):
            client.read_exactly(size // 32)
            pause.wait(seconds(SHORT / 8))
        watch.check(4 * SHORT)
    check_log(palier, 0, 200, "ok")


LARGE = 16 << 20
PACE = 300 << 10  # bytes in a timeout of SLOW; a socket full of megabytes is writable only once a third of them has gone
SLOW = 1.0        # seconds


def send_large(connection, framing: str) -> None:
    connection.read_request()
    connection.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n")
    for _ in range(LARGE >> 16):
        connection.send(b"x" * 65536)


FRAMINGS = pytest.mark.parametrize("framing", [f"Content-Length: {LARGE}\r\n", ""], ids=["length", "until close"])


@FRAMINGS
def test_client_write_of_a_slow_reader(timed, framing):
    """What its kernel takes is progress, though the socket does not say so for long."""
    palier, _ = timed({"client_write": SLOW}, handler=lambda connection: send_large(connection, framing))
    with palier.connect(receive_buffer=16384) as client:
        client.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n")
        assert client.read_head().status == 200
        taken = read_slowly(client, PACE / seconds(SLOW), seconds(3.5 * SLOW))
        assert len(client.read_until_close()) == LARGE - taken
    check_log(palier, 0, 200, "ok")


@FRAMINGS
def test_client_write_of_a_reader_that_never_reads(timed, framing):
    """What its kernel takes by itself is no progress that lasts."""
    palier, _ = timed({"client_write": 2 * SLOW}, handler=lambda connection: send_large(connection, framing))
    with palier.connect(receive_buffer=16384) as client:
        client.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n")
        line = palier.wait_access_log(1)[0]
        assert line["reason"] == "client_write_timeout"
        assert seconds(2 * SLOW) <= line["total_ms"] / 1000 < 1.4 * seconds(2 * SLOW)


def test_client_write_of_a_slow_reader_that_stops(timed):
    palier, _ = timed({"client_write": SLOW},
                      handler=lambda connection: send_large(connection, f"Content-Length: {LARGE}\r\n"))
    with palier.connect(receive_buffer=16384) as client:
        client.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n")
        assert client.read_head().status == 200
        read_slowly(client, PACE / seconds(SLOW), seconds(1.5 * SLOW))
        watch = Stopwatch()
        assert palier.wait_access_log(1)[0]["reason"] == "client_write_timeout"
        watch.check(0.8 * SLOW)


def test_connect(start_palier):
    hole = FullBacklog()
    try:
        palier = start_palier(site([server("hole", hole.address)], timeouts={"connect": duration(SHORT)}, pool={
            "retries": 0, "outlier": {"failures": 0}}))
        with palier.connect() as client:
            watch = Stopwatch()
            assert client.request().status == 504
            watch.check()
            watch = Stopwatch()
            assert client.request("POST", "/", body=b"kept alive").status == 504
            watch.check()
        check_log(palier, 1, 504, "connect_timeout")
    finally:
        hole.stop()


def test_connect_in_vain_goes_to_the_next_server(raw_backend, start_palier):
    hole, good = FullBacklog(), raw_backend(lambda request: response(request.body))
    try:
        palier = start_palier(site([server("hole", hole.address), server("good", good.address)], workers=1,
                                   timeouts={"connect": duration(SHORT)}, pool={"outlier": {"failures": 1}}))
        watch = Stopwatch()
        with palier.connect() as client:
            for number in range(4):
                # Nothing of it was sent to the first, so that a POST is safe too.
                assert client.request("POST", "/", body=str(number).encode()).body == str(number).encode()
        watch.check()
        palier.wait_event("hole.*ejected")
    finally:
        hole.stop()


def test_server_that_says_nothing(timed):
    gone = threading.Event()

    def handler(connection):
        connection.read_request()
        connection.read_until_close()
        gone.set()

    palier, backend = timed({"server": SHORT}, handler=handler)
    with palier.connect() as client:
        for index, body in enumerate((None, b"body")):
            watch = Stopwatch()
            assert client.request("POST" if body else "GET", "/", body=body).status == 504
            watch.check()
            check_log(palier, index, 504, "backend_timeout")
            wait_for(gone.is_set, "the end of the backend's connection")
    assert backend.accepted == 2


def test_server_that_takes_no_request_body(timed):
    """The request cannot be sent: that is the server's silence too."""
    palier, _ = timed({"server": SHORT, "client_body": SHORT}, handler=lambda connection: connection.wait(threading.Event()))
    with palier.connect(timeout=20) as client:
        sender = threading.Thread(target=lambda: _send_what_goes(client, BIG))
        client.send(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {BIG}\r\n\r\n")
        sender.start()
        assert client.read_head().status == 504
        client.read_whatever()
        sender.join()
    check_log(palier, 0, 504, "backend_timeout")


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [LARGE, 2 << 20], ids=["more than buffers hold", "all in buffers"])
def test_server_that_takes_a_request_body_slowly(timed, size, chunked):
    """Its patience is for silence, and taking something is none."""
    block = b"x" * 65536

    def handler(connection):
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        head = connection.read_head()
        taken = read_slowly(connection, PACE / seconds(SLOW), seconds(3.5 * SLOW))
        if head.chunked:
            connection.read_through(b"\r\n0\r\n\r\n")
        else:
            connection.read_exactly(size - taken)
        connection.send(response("all of it"))

    palier, _ = timed({"server": SLOW}, handler=handler)
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    with palier.connect(timeout=20) as client:
        client.send(f"POST / HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n")
        for _ in range(size // len(block)):
            client.send(b"10000\r\n" + block + b"\r\n" if chunked else block)
        if chunked:
            client.send("0\r\n\r\n")
        assert client.read_response().body == b"all of it"
    check_log(palier, 0, 200, "ok")


def _send_what_goes(client, size: int) -> None:
    try:
        for _ in range(size // 65536):
            client.send(b"x" * 65536)
    except OSError:
        pass


@pytest.mark.parametrize("framing, part", [("Content-Length: 10\r\n", "half!"), ("Transfer-Encoding: chunked\r\n", "5\r\nhalf!\r\n"),
                                           ("", "half!")], ids=["length", "chunked", "until close"])
def test_server_that_stalls_in_its_body(timed, framing, part):
    def handler(connection):
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n{part}")
        connection.stall()

    palier, _ = timed({"server": SHORT}, handler=handler)
    watch = Stopwatch()
    with palier.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        head = client.read_head()
        assert head.status == 200
        with pytest.raises(ConnectionEnded) as ended:
            client.read_until_close()
        assert ended.value.was_reset and b"half!" in ended.value.received and b"0\r\n\r\n" not in ended.value.received
        watch.check()
    check_log(palier, 0, 200, "backend_timeout")


def test_server_is_between_two_reads_of_its_body(timed):
    def handler(connection):
        connection.read_request()
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n")
        pause = threading.Event()
        for _ in range(15):
            connection.send("x")
            pause.wait(seconds(SHORT / 5))

    palier, _ = timed({"server": SHORT, "client_idle": SHORT, "client_write": SHORT}, handler=handler)
    watch = Stopwatch()
    assert palier.get().body == b"x" * 15
    watch.check(2 * SHORT)


def test_server_idle(timed):
    ended = []

    def handler(connection):
        for _ in range(3):
            connection.read_request()
            connection.send(response(str(connection.number)))
        last = time.monotonic()
        connection.read_until_close()
        ended.append(time.monotonic() - last)

    palier, backend = timed({"server_idle": SHORT, "client_idle": 30}, handler=handler)
    with palier.connect() as client:
        assert [client.request().body for _ in range(3)] == [b"0"] * 3
        wait_for(lambda: ended, "the end of the pooled connection")
        assert seconds(SHORT) - 0.05 <= ended[0] < seconds(SHORT + PATIENCE)
        assert client.request().body == b"1"
    assert backend.accepted == 2


SWITCH = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\nConnection: Upgrade\r\n\r\n"
UPGRADE = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: test\r\nConnection: Upgrade\r\n\r\n"


def test_tunnel_that_is_silent(timed):
    gone = threading.Event()

    def handler(connection):
        connection.read_request()
        connection.send(SWITCH)
        connection.read_until_close()
        gone.set()

    palier, _ = timed({"tunnel": SHORT, "server": 30}, handler=handler)
    with palier.connect() as client:
        assert client.send(UPGRADE).read_response().status == 101
        watch = Stopwatch()
        assert client.read_whatever() == b""
        watch.check()
    wait_for(gone.is_set, "the end of the backend's side")
    check_log(palier, 0, 101, "tunnel_timeout")


@pytest.mark.parametrize("talker", ["client", "backend"])
def test_tunnel_with_traffic_one_way(timed, talker):
    done = threading.Event()

    def handler(connection):
        connection.read_request()
        connection.send(SWITCH)
        pause = threading.Event()
        for _ in range(12):
            if talker == "backend":
                connection.send("x")
                pause.wait(seconds(SHORT / 4))
            else:
                connection.read_exactly(1)
        if talker == "client":
            connection.send("x" * 12)
        done.set()

    palier, _ = timed({"tunnel": SHORT, "server": SHORT / 2, "client_idle": SHORT / 2, "client_body": SHORT / 2},
                      handler=handler)
    with palier.connect() as client:
        assert client.send(UPGRADE).read_response().status == 101
        watch = Stopwatch()
        if talker == "client":
            drip(client, "x" * 12, seconds(SHORT / 4), done.is_set)
        assert client.read_exactly(12) == b"x" * 12
        watch.check(2 * SHORT)
