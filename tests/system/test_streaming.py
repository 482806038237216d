"""Bodies larger than any buffer: they pass, whole, and palier's memory does not follow their size."""

import itertools
import json
import threading
import time
import zlib

import pytest
from harness import BIG_BODY, SANITIZED, response, seconds, server, site, wait_for
from harness.messages import read_slowly

PATTERN = bytes(i % 251 for i in range(65536))  # what download.php sends
MEMORY_LIMIT = 40 << 20


def crc_of_pattern(size: int) -> int:
    checksum = 0
    for _ in range(size // len(PATTERN)):
        checksum = zlib.crc32(PATTERN, checksum)
    return zlib.crc32(PATTERN[:size % len(PATTERN)], checksum)


def check_memory(palier) -> None:
    if not SANITIZED:  # a sanitizer's own memory says nothing about ours
        assert palier.peak_resident() < MEMORY_LIMIT, f"{palier.peak_resident() >> 20} MiB"


@pytest.fixture
def php_site(web_front, start_palier):
    fronts = [web_front("one"), web_front("two")]
    return start_palier(site([server(front.name, front.address) for front in fronts]))


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_upload_to_php(php_site, chunked):
    size = BIG_BODY if not chunked else BIG_BODY // 4
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    target = "/buffered" if chunked else "/upload"
    with php_site.connect(timeout=60) as client:
        client.send(f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n{framing}\r\n\r\n")
        piece = PATTERN * 4
        for _ in range(size // len(piece)):
            client.send(b"40000\r\n" + piece + b"\r\n" if chunked else piece)
        if chunked:
            client.send("0\r\n\r\n")
        answer = client.read_response()
    assert answer.status == 200
    seen = json.loads(answer.body)
    assert (seen["input_size"], int(seen["input_crc32"], 16)) == (size, crc_of_pattern(size))
    check_memory(php_site)


@pytest.mark.parametrize("length", [1, 0], ids=["length", "until-close"])
def test_download_from_php(php_site, length):
    size = BIG_BODY if length else BIG_BODY // 4
    with php_site.connect(timeout=60) as client:
        target = f"/download?bytes={size}&length={length}"
        client.send(f"GET {target} HTTP/1.{length}\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = client.read_head()
        assert head.status == 200
        checksum, left = 0, size
        buffer = bytearray(1 << 20)
        first = client.take_buffered()
        checksum, left = zlib.crc32(first), left - len(first)
        while (count := client.socket.recv_into(buffer)) > 0:
            checksum = zlib.crc32(memoryview(buffer)[:count], checksum)
            left -= count
    assert left == 0 and checksum == crc_of_pattern(size)
    check_memory(php_site)


class Counted:
    """Counts what one side could send, and says when it stands still."""

    def __init__(self):
        self.bytes = 0

    def wait_until_stalled(self, what: str) -> int:
        """Waits until nothing more was sent for half a second."""
        last = [self.bytes, time.monotonic()]

        def stalled() -> bool:
            now = time.monotonic()
            if self.bytes != last[0]:
                last[:] = [self.bytes, now]
            return now - last[1] > seconds(0.5)

        wait_for(stalled, f"{what} to be held back", timeout=30)
        return self.bytes


# What kernel buffers of two connections may hold where `tcp_rmem` lets one grow to 32 MiB, beside palier's own few hundred KiB.
IN_BUFFERS = 64 << 20
STALLED_BODY = 128 << 20


def test_slow_reader_holds_the_backend_back(raw_backend, start_palier):
    sent = Counted()

    def handler(connection):
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {STALLED_BODY}\r\n\r\n")
        for _ in range(STALLED_BODY // len(PATTERN)):
            connection.send(PATTERN)
            sent.bytes += len(PATTERN)

    palier = start_palier(site([server("a", raw_backend(handler=handler).address)]))
    with palier.connect(receive_buffer=65536, timeout=30) as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.read_head()
        assert sent.wait_until_stalled("the backend") < IN_BUFFERS
        check_memory(palier)
        checksum = 0
        for _ in range(STALLED_BODY // len(PATTERN)):
            checksum = zlib.crc32(client.read_exactly(len(PATTERN)), checksum)
    assert checksum == crc_of_pattern(STALLED_BODY)
    check_memory(palier)


def test_slow_reader_that_still_sends_gets_its_whole_answer(raw_backend, start_palier):
    """Its body was no longer wanted. As long as it takes what the kernel holds for it, what it sends is dropped; a close
    would answer that with a reset, which takes the rest of the answer with it."""
    body = PATTERN * 48

    def handler(connection):
        connection.read_head()
        connection.send(response(body))
        connection.stall()

    palier = start_palier(site([server("a", raw_backend(handler=handler).address)]))
    with palier.connect(receive_buffer=16384) as client:
        client.send(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {STALLED_BODY}\r\n\r\n")
        client.read_head()
        taken = 0
        while taken < len(body) // 2:  # for longer than palier waits for one that reads nothing
            taken += read_slowly(client, 400 << 10, 0.25)
            client.send("x" * 1000)
        client.read_exactly(len(body) - taken)
        assert client.read_until_close() == b""


def test_slow_backend_holds_the_client_back(raw_backend, start_palier):
    go_on, sent = threading.Event(), Counted()

    def handler(connection):
        connection.read_head()
        connection.wait(go_on)
        checksum = 0
        for _ in range(STALLED_BODY // len(PATTERN)):
            checksum = zlib.crc32(connection.read_exactly(len(PATTERN)), checksum)
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{checksum:08x}")

    palier = start_palier(site([server("a", raw_backend(handler=handler).address)]))
    with palier.connect(timeout=30) as client:
        def upload():
            for _ in range(STALLED_BODY // len(PATTERN)):
                client.send(PATTERN)
                sent.bytes += len(PATTERN)

        client.send(f"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {STALLED_BODY}\r\n\r\n")
        uploader = threading.Thread(target=upload)
        uploader.start()
        assert sent.wait_until_stalled("the client") < IN_BUFFERS
        check_memory(palier)
        go_on.set()
        uploader.join()
        assert int(client.read_response().body, 16) == crc_of_pattern(STALLED_BODY)
    check_memory(palier)


def test_many_stalled_readers_share_a_small_memory(raw_backend, start_palier):
    body = PATTERN * 32  # 2 MiB each

    def handler(connection):
        while True:
            connection.read_request()
            connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    palier = start_palier(site([server("a", raw_backend(handler=handler).address)]))
    clients = [palier.connect(receive_buffer=32768, timeout=30) for _ in range(40)]
    for client in clients:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    for client in clients:
        client.read_head()
    assert palier.resident() < MEMORY_LIMIT or SANITIZED
    for client in itertools.islice(clients, 0, None, 2):
        client.close()
    for client in itertools.islice(clients, 1, None, 2):
        assert client.read_exactly(len(body)) == body
        client.close()
    check_memory(palier)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's memory is not palier's")
def test_memory_of_uploads_is_given_back(raw_backend, start_palier):
    """What was kept of each request for another try is not kept with the exchange for its next use."""
    count, body = 400, b"x" * 56_000
    release = threading.Event()

    def handler(connection):
        connection.read_request()
        connection.wait(release)
        connection.send(response("ok"))

    backend = raw_backend(handler=handler)
    palier = start_palier(site([server("a", backend.address)], workers=1))
    before = palier.resident()
    clients = [palier.connect() for _ in range(count)]
    try:
        for client in clients:
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        backend.wait_served(count)
        assert palier.resident() > before + (15 << 20), "this test needs exchanges that hold something"
        release.set()
        for client in clients:
            assert client.read_response().status == 200
    finally:
        release.set()
        for client in clients:
            client.close()
    wait_for(lambda: palier.resident() < before + (10 << 20), "memory to be given back", timeout=3)
