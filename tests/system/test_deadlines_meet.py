"""Where two deadlines could apply: the one that counts is that of the peer who is waited for."""

import select
import threading
import time

import pytest
from harness import duration, response, seconds, server, site, wait_for

SHORT = 0.4  # seconds, of the timeout that a test is about
PATIENCE = 5.0


@pytest.fixture
def timed(raw_backend, start_palier):
    """timed(handler, name=seconds, …) starts palier with these timeouts before a backend: (palier, backend)."""
    def start(handler, **timeouts):
        backend = raw_backend(handler=handler)
        return start_palier(site([server("a", backend.address)], workers=1, pool={"retries": 0}, timeouts={
            name: duration(value) for name, value in timeouts.items()})), backend

    return start


def check_end(palier, status: int, reason: str, least: float) -> None:
    """The only exchange ended so, not before `least` seconds and not much later."""
    line = palier.wait_access_log(1)[0]
    assert (line["status"], line["reason"]) == (status, reason)
    assert seconds(least) - 0.05 <= line["total_ms"] / 1000 < seconds(least + PATIENCE), line["total_ms"]


@pytest.mark.parametrize("trickles", [False, True], ids=["silent", "trickling"])
def test_client_write_while_the_client_still_uploads(timed, trickles):
    """A large answer goes through a pipe: that it is not read counts, whatever else the client does."""
    size, gone = 64 << 20, threading.Event()

    def handler(connection):
        connection.read_head()
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")
        try:
            for _ in range(size >> 16):
                connection.send(b"x" * 65536)
        finally:
            gone.set()

    palier, _ = timed(handler, client_write=2 * SHORT, client_body=4 * SHORT, server=SHORT)
    with palier.connect(receive_buffer=65536) as client:
        client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        deadline = time.monotonic() + seconds(2 * SHORT + PATIENCE)
        while not gone.wait(seconds(SHORT / 4)) and time.monotonic() < deadline:
            try:
                client.send("1\r\nx\r\n" if trickles else "")
            except OSError:
                break
        wait_for(gone.is_set, "the end of the backend's connection", timeout=1)
    check_end(palier, 200, "client_write_timeout", 2 * SHORT)


EXPECT = "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"


@pytest.mark.parametrize("sends", [True, False], ids=["sent then", "never sent"])
def test_late_100_is_not_the_clients_fault(timed, sends):
    """A client that was not yet asked for its body does not owe it; from the 100 on it does."""
    late = threading.Event()

    def handler(connection):
        request = connection.read_head()
        connection.wait(late)
        connection.send("HTTP/1.1 100 Continue\r\n\r\n")
        connection.read_body(request)
        connection.send(response(request.body))

    palier, _ = timed(handler, client_body=SHORT, server=30)
    with palier.connect() as client:
        client.send(EXPECT)
        assert not select.select([client.socket], [], [], seconds(2 * SHORT))[0]
        late.set()
        assert client.read_head().status == 100
        if sends:
            answer = client.send("hello").read_response("PUT")
            assert (answer.status, answer.body) == (200, b"hello")
        else:
            assert client.read_response("PUT").status == 408
    check_end(palier, *((200, "ok", 2 * SHORT) if sends else (408, "client_timeout_body", 3 * SHORT)))


def test_expectation_that_nobody_meets_is_not_the_servers_fault(raw_backend, start_palier):
    """A client could otherwise have every server ejected by asking for a 100 and then saying nothing."""
    def handler(connection):
        request = connection.read_head()
        if request.method == "PUT":
            connection.stall()  # waits for the body, as a server that sends no 100 does
        connection.send(response("still here"))

    servers = [server(name, raw_backend(handler=handler, name=name).address) for name in ("a", "b")]
    palier = start_palier(site(servers, pool={"outlier": {"failures": 1, "backoff": "1h"}},
                               timeouts={"server": duration(SHORT)}, workers=1))
    for _ in range(2):
        with palier.connect() as client:
            assert client.send(EXPECT).read_response("PUT").status == 504
    for _ in range(4):
        assert palier.get("/").body == b"still here"
    lines = palier.wait_access_log(6)
    assert [line["server"] for line in lines[2:]].count("a") == 2
    assert "ejected" not in palier.events()
