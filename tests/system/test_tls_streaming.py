"""Messages over TLS: bodies larger than any buffer, readers that stall, records cut in strange places, WebSockets, the
PROXY protocol in front, and how all of it ends when palier stops."""

import asyncio
import signal
import socket
import threading
import time
import zlib

import pytest
import websockets
from harness import (
    SANITIZED, ConnectionEnded, TlsClient, client_context, curl, duration, is_listening, response, seconds, server,
    wait_for, websocket_echo, websocket_server)
from harness.messages import read_slowly

PATTERN = bytes(i % 251 for i in range(65536))
BODY = (16 if SANITIZED else 100) << 20
MEMORY_LIMIT = 40 << 20
GET = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def crc_of_pattern(size: int) -> int:
    checksum = 0
    for _ in range(size // len(PATTERN)):
        checksum = zlib.crc32(PATTERN, checksum)
    return checksum


def check_memory(palier) -> None:
    if not SANITIZED:  # a sanitizer's own memory says nothing about ours
        assert palier.peak_resident() < MEMORY_LIMIT, f"{palier.peak_resident() >> 20} MiB"


class Source:
    """A backend's handler: `size` bytes of the pattern for each request; counts what it could send."""

    def __init__(self, size: int):
        self.size, self.sent = size, 0

    def __call__(self, connection) -> None:
        while True:
            connection.read_request()
            connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {self.size}\r\n\r\n")
            for _ in range(self.size // len(PATTERN)):
                connection.send(PATTERN)
                self.sent += len(PATTERN)


class Sink:
    """A backend's handler: reads a body of the pattern once `go_on` is set, and answers with its checksum."""

    def __init__(self, size: int):
        self.size, self.go_on = size, threading.Event()

    def __call__(self, connection) -> None:
        while True:
            head = connection.read_head()
            connection.wait(self.go_on)
            checksum = 0
            if head.chunked:
                checksum = zlib.crc32(connection.read_body(head).body)
            else:
                for _ in range(self.size // len(PATTERN)):
                    checksum = zlib.crc32(connection.read_exactly(len(PATTERN)), checksum)
            connection.send(response(f"{checksum:08x}"))


def read_pattern(client, size: int) -> int:
    checksum = 0
    for _ in range(size // len(PATTERN)):
        checksum = zlib.crc32(client.read_exactly(len(PATTERN)), checksum)
    return checksum


def wait_until_stalled(count, what: str) -> int:
    """Waits until `count()` has stood still for half a second; its last value."""
    last = [count(), time.monotonic()]

    def stalled() -> bool:
        now = time.monotonic()
        if count() != last[0]:
            last[:] = [count(), now]
        return now - last[1] > seconds(0.5)

    wait_for(stalled, f"{what} to be held back", timeout=30)
    return last[0]


# Bodies


def test_large_download(secure, raw_backend):
    palier = secure(raw_backend(handler=Source(BODY)))
    with TlsClient(palier.port, timeout=30) as client:
        for _ in range(2):
            client.send(GET)
            assert client.read_head().status == 200
            assert read_pattern(client, BODY) == crc_of_pattern(BODY)
    check_memory(palier)


@pytest.mark.parametrize("http", ["1.1", "2"])
def test_large_download_by_curl(secure, raw_backend, ca, http):
    palier = secure(raw_backend(handler=Source(BODY)))
    answer = curl(f"https://test.example:{palier.port}/", "--resolve", f"test.example:{palier.port}:127.0.0.1",
                  "--cacert", str(ca.crt), f"--http{http}", discard=True, timeout=60)
    assert (answer.exit_code, answer.status, answer.size_download) == (0, 200, BODY), answer.error
    check_memory(palier)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_large_upload(secure, raw_backend, chunked):
    size = BODY // 4 if chunked else BODY  # the backend holds a chunked one in one piece
    sink = Sink(size)
    sink.go_on.set()
    palier = secure(raw_backend(handler=sink))
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    with TlsClient(palier.port, timeout=30) as client:
        client.send(f"PUT / HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n")
        for _ in range(size // len(PATTERN)):
            client.send(b"10000\r\n" + PATTERN + b"\r\n" if chunked else PATTERN)
        if chunked:
            client.send("0\r\n\r\n")
        assert int(client.read_response().body, 16) == crc_of_pattern(size)
    check_memory(palier)


def test_both_ways_at_once(secure, raw_backend):
    """A backend that answers while it reads: neither direction waits for the other."""
    size = BODY // 4

    def handler(connection):
        connection.read_head()
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")
        for _ in range(size // len(PATTERN)):
            connection.send(connection.read_exactly(len(PATTERN)))

    palier = secure(raw_backend(handler=handler))
    with TlsClient(palier.port, timeout=30) as client:
        client.send(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n")
        checksum = 0
        for number in range(size // len(PATTERN)):
            client.send(PATTERN)
            if number == 0:
                client.read_head()
            checksum = zlib.crc32(client.read_exactly(len(PATTERN)), checksum)
    assert checksum == crc_of_pattern(size)
    check_memory(palier)


# What kernel buffers of two connections may hold where `tcp_rmem` lets one grow to 32 MiB, beside palier's own few hundred KiB.
IN_BUFFERS = 64 << 20
STALLED_BODY = 96 << 20


def test_slow_reader_holds_the_backend_back(secure, raw_backend):
    source = Source(STALLED_BODY)
    palier = secure(raw_backend(handler=source))
    with TlsClient(palier.port, receive_buffer=65536, timeout=30) as client:
        client.send(GET)
        client.read_head()
        assert wait_until_stalled(lambda: source.sent, "the backend") < IN_BUFFERS
        check_memory(palier)
        assert read_pattern(client, 4 << 20) == crc_of_pattern(4 << 20)
    check_memory(palier)


def test_slow_backend_holds_the_client_back(secure, raw_backend):
    sink, sent = Sink(STALLED_BODY), [0]
    palier = secure(raw_backend(handler=sink))
    with TlsClient(palier.port, timeout=30) as client:
        def upload():
            client.send(f"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {STALLED_BODY}\r\n\r\n")
            for _ in range(STALLED_BODY // len(PATTERN)):
                client.send(PATTERN)
                sent[0] += len(PATTERN)

        uploader = threading.Thread(target=upload)
        uploader.start()
        assert wait_until_stalled(lambda: sent[0], "the client") < IN_BUFFERS
        check_memory(palier)
        sink.go_on.set()
        uploader.join()
        assert int(client.read_response().body, 16) == crc_of_pattern(STALLED_BODY)
    check_memory(palier)


def test_many_stalled_readers_share_a_small_memory(secure, raw_backend):
    size = 2 << 20
    palier = secure(raw_backend(handler=Source(size)))
    context = client_context()
    clients = [TlsClient(palier.port, context=context, receive_buffer=32768, timeout=30) for _ in range(40)]
    for client in clients:
        client.send(GET)
    for client in clients:
        client.read_head()
    assert palier.resident() < MEMORY_LIMIT or SANITIZED
    for number, client in enumerate(clients):
        if number % 2:
            assert read_pattern(client, size) == crc_of_pattern(size)
        client.close()
    check_memory(palier)


def test_reader_that_never_reads_is_given_up(secure, raw_backend):
    palier = secure(raw_backend(handler=Source(32 << 20)), timeouts={"client_write": duration(0.5)})
    with TlsClient(palier.port, receive_buffer=32768) as client:
        client.send(GET)
        assert palier.wait_access_log(1)[0]["reason"] == "client_write_timeout"


def test_slow_reader_is_not_given_up(secure, raw_backend):
    """What its kernel takes is progress, though the socket does not say so for long."""
    size, patience = 16 << 20, 1.0
    palier = secure(raw_backend(handler=Source(size)), timeouts={"client_write": duration(patience)})
    with TlsClient(palier.port, receive_buffer=16384) as client:
        client.send(GET)
        client.read_head()
        taken = read_slowly(client, (200 << 10) / seconds(patience), seconds(3.5 * patience))
        client.read_exactly(size - taken)
        assert palier.wait_access_log(1)[0]["reason"] == "ok"


# Records and messages


def test_keep_alive(secure, raw_backend):
    backend = raw_backend()
    palier = secure(backend, workers=1)
    with TlsClient(palier.port) as client:
        for number in range(100):
            assert client.request("POST", f"/{number}", body=b"x" * number).status == 200
    assert [request.target for request in backend.requests] == [f"/{number}" for number in range(100)]
    assert backend.accepted == 1


@pytest.mark.parametrize("size", [1, 7, 100, 100_000], ids=lambda size: f"records of {size}")
def test_pipelined_requests_in_records_of_any_size(secure, raw_backend, size):
    backend = raw_backend(lambda request: response(request.target))
    palier = secure(backend)
    count = 5 if size < 100 else 40
    text = "".join(f"POST /{number} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" for number in range(count))
    with TlsClient(palier.port) as client:
        for at in range(0, len(text), size):
            client.send(text[at:at + size])
        for number in range(count):
            assert client.read_response().body == f"/{number}".encode()
    assert all(request.body == b"abc" for request in backend.requests)


def test_head_larger_than_a_record(secure, raw_backend):
    """Records carry 16 KiB at most."""
    backend = raw_backend(response("a", X_Large="y" * 25_000))
    with TlsClient(secure(backend).port) as client:
        answer = client.request(X_Large="x" * 25_000)
    assert len(answer.get("X-Large")) == 25_000 and len(backend.requests[0].get("X-Large")) == 25_000


def test_responses_without_body(secure, raw_backend):
    answers = {"/204": b"HTTP/1.1 204 No Content\r\n\r\n", "/304": b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"}
    palier = secure(raw_backend(lambda request: answers.get(request.target, response("abc"))))
    with TlsClient(palier.port) as client:
        assert client.request("GET", "/204").status == 204
        assert client.request("HEAD", "/").get("Content-Length") == "3"
        assert client.request("GET", "/304").status == 304
        assert client.request("GET", "/").body == b"abc"


def test_100_continue(secure, raw_backend):
    def handler(connection):
        request = connection.read_head()
        assert request.get("Expect") == "100-continue"
        connection.send("HTTP/1.1 100 Continue\r\n\r\n")
        connection.send(response(connection.read_body(request).body))

    with TlsClient(secure(raw_backend(handler=handler)).port) as client:
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.read_response().status == 100
        assert client.send("hello").read_response().body == b"hello"


def test_cut_response_without_a_length_is_noticed(secure, raw_backend):
    """An HTTP/1.0 client knows the end of such a body only by the end of the connection: a cut one must not end well."""
    whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"

    def handler(connection):
        request = connection.read_request()
        connection.send(whole if request.target == "/cut" else whole + b"0\r\n\r\n")

    palier = secure(raw_backend(handler=handler))
    for target, ends_well in (("/whole", True), ("/cut", False)):
        with TlsClient(palier.port) as client:
            client.send(f"GET {target} HTTP/1.0\r\nHost: x\r\n\r\n")
            client.read_head()
            try:
                said = client.ended_well()
            except OSError:
                said = False  # reset
            assert said == ends_well, target


# WebSocket


def talk(palier, ca, conversation):
    """Runs `conversation(connection)` over a WebSocket in TLS."""
    async def run():
        context = client_context(ca)
        async with websockets.connect(f"wss://127.0.0.1:{palier.port}/chat", ssl=context, max_size=None,
                                      server_hostname="test.example", open_timeout=seconds(10)) as connection:
            return await asyncio.wait_for(conversation(connection), seconds(20))

    return asyncio.run(run())


def test_websocket(secure, ca):
    messages = ["hello", "", "caf\u00e9", b"\x00\xff" * 1000, "x" * 300_000, bytes(1 << 20)]

    async def conversation(connection):
        for message in messages:
            await connection.send(message)
            assert await connection.recv() == message
        await (await connection.ping())
        await connection.send("close 4001")
        await connection.wait_closed()
        return connection.close_code

    with websocket_server(websocket_echo) as address:
        assert talk(secure(servers=[server("ws", address)]), ca, conversation) == 4001


def test_websocket_with_many_messages_in_flight(secure, ca):
    async def conversation(connection):
        async def send_all():
            for number in range(1000):
                await connection.send(f"message {number}")

        sending = asyncio.create_task(send_all())
        for number in range(1000):
            assert await connection.recv() == f"message {number}"
        await sending

    with websocket_server(websocket_echo) as address:
        talk(secure(servers=[server("ws", address)]), ca, conversation)


UPGRADE = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"


def test_tunnel_ends_with_close_notify(secure, raw_backend):
    def handler(connection):
        connection.read_request()
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello")

    with TlsClient(secure(raw_backend(handler=handler)).port) as client:
        assert client.send(UPGRADE).read_response().status == 101
        assert client.read_until_close() == b"hello"


def test_tunnel_of_which_one_side_has_ended_loses_nothing(secure, raw_backend):
    """Saying that end again, with bytes of the other side on their way, must not eat them."""
    size, heard = 8 * 1024 * 1024, []

    def handler(connection):
        connection.read_request()
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        connection.half_close()
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # taken in many small pieces
        heard.append(len(connection.read_until_close()))

    with TlsClient(secure(raw_backend(handler=handler)).port) as client:
        assert client.send(UPGRADE).read_response().status == 101
        for _ in range(size // 65536):
            client.send(bytes(65536))
        client.socket.unwrap().close()  # close_notify both ways
        wait_for(lambda: heard, "the end of the tunnel", timeout=20)
    assert heard == [size]


def test_tunnel_cut_by_the_client_ends_the_backend(secure, raw_backend):
    seen = []

    def handler(connection):
        connection.read_request()
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        seen.append(connection.read_until_close())

    with TlsClient(secure(raw_backend(handler=handler)).port) as client:
        assert client.send(UPGRADE).read_response().status == 101
        client.send("a message").cut()
        wait_for(lambda: seen == [b"a message"], "the end of the backend's connection")


# The PROXY protocol


FROM_BALANCER = {
    "v1": b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n",
    "v2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes([203, 0, 113, 7, 192, 0, 2, 1, 0x12, 0x67, 0x01, 0xbb]),
}


@pytest.mark.parametrize("header", FROM_BALANCER.values(), ids=FROM_BALANCER)
@pytest.mark.parametrize("mode", ["optional", "required"])
def test_proxy_protocol_comes_before_tls(secure, raw_backend, header, mode):
    backend = raw_backend()
    palier = secure(backend, listener={"proxy_protocol": mode}, trusted_proxies=["127.0.0.0/8"])
    with TlsClient(palier.port, first=header) as client:
        for _ in range(2):
            assert client.request().status == 200
    for request in backend.requests:
        assert (request.get("X-Forwarded-For"), request.get("X-Forwarded-Proto")) == ("203.0.113.7", "https")


def test_proxy_protocol_may_be_missing_where_it_is_optional(secure, raw_backend):
    backend = raw_backend()
    palier = secure(backend, listener={"proxy_protocol": "optional"}, trusted_proxies=["127.0.0.0/8"])
    with TlsClient(palier.port) as client:
        assert client.request().status == 200
    assert backend.requests[0].get("X-Forwarded-For") == "127.0.0.1"


@pytest.mark.parametrize("mode, trusted, first", [("required", "127.0.0.0/8", b""),
                                                  ("required", "192.0.2.0/24", FROM_BALANCER["v1"]),
                                                  ("optional", "192.0.2.0/24", FROM_BALANCER["v2"]),
                                                  ("off", "127.0.0.0/8", FROM_BALANCER["v1"])])
def test_proxy_protocol_that_is_not_welcome(secure, raw_backend, mode, trusted, first):
    backend = raw_backend()
    palier = secure(backend, listener={"proxy_protocol": mode}, trusted_proxies=[trusted])
    with pytest.raises(OSError):
        TlsClient(palier.port, first=first)
    assert backend.accepted == 0


def test_proxy_protocol_inside_tls_is_no_header(secure, raw_backend):
    backend = raw_backend()
    palier = secure(backend, listener={"proxy_protocol": "optional"}, trusted_proxies=["127.0.0.0/8"])
    with TlsClient(palier.port) as client:
        client.send(FROM_BALANCER["v1"] + GET.encode())
        assert b" 200 " not in client.read_whatever()
    assert backend.accepted == 0


# Stopping


def test_exchange_in_flight_finishes_at_a_stop(secure, raw_backend):
    release = threading.Event()

    def handler(connection):
        while connection.read_request().target != "/slow":
            connection.send(response("quick"))
        connection.wait(release)
        connection.send(response("finished"))

    backend = raw_backend(handler=handler)
    palier = secure(backend, shutdown_grace="30s")
    with TlsClient(palier.port) as client, TlsClient(palier.port) as idle:
        assert idle.request().body == b"quick"
        client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(2)
        palier.send_signal(signal.SIGTERM)
        wait_for(lambda: not is_listening(palier.port), "the listener to close")
        release.set()
        answer = client.read_response()
        assert answer.body == b"finished" and answer.get("Connection", "").lower() == "close"
        assert client.ended_well() and idle.ended_well()
    palier.stopped_by_test = True
    assert palier.child.wait() == 0


def test_unfinished_handshakes_delay_the_end_no_longer_than_they_may_take(secure, raw_backend):
    palier = secure(shutdown_grace="30s", timeouts={"handshake": duration(0.5)})
    with TlsClient(palier.port) as client:
        assert client.request().status == 200
    silent = [palier.connect() for _ in range(5)]
    began = time.monotonic()
    assert palier.stop() == 0
    assert time.monotonic() - began < seconds(5)
    for client in silent:
        client.close()


class Visitor(threading.Thread):
    """Sends requests over TLS, a few with each connection, until nobody listens any more. What HTTP calls a failure is
    kept in `failures`."""

    def __init__(self, port: int):
        super().__init__()
        self._port, self._context = port, client_context()
        self.served, self.failures = 0, []

    def run(self) -> None:
        while True:
            try:
                client = TlsClient(self._port, context=self._context)
            except ConnectionRefusedError:
                return
            except OSError:
                if not is_listening(self._port):
                    return  # it was in the queue of a socket that closed: the kernel resets those
                self.failures.append("handshake")
                return
            with client:
                self._visit(client)

    def _visit(self, client: TlsClient) -> None:
        for number in range(10):
            try:
                answer = client.request(Connection="close" if number == 9 else "keep-alive")
            except (OSError, ConnectionEnded) as failure:
                # A connection that ends in good order before any byte of an answer is no failure: clients ask again.
                if getattr(failure, "received", None) != b"" or getattr(failure, "was_reset", True):
                    self.failures.append(repr(failure))
                return
            self.served += 1
            if answer.body != b"x" * 5000:
                self.failures.append(answer.start_line)
            if answer.get("Connection", "").lower() == "close":
                if not client.ended_well():
                    self.failures.append("no close_notify")
                return


def test_stop_under_load_fails_no_request(secure, raw_backend):
    palier = secure(raw_backend(response("x" * 5000)), shutdown_grace="30s")
    visitors = [Visitor(palier.port) for _ in range(8)]
    for visitor in visitors:
        visitor.start()
    wait_for(lambda: all(visitor.served > 20 for visitor in visitors), "load")
    assert palier.stop(timeout=20) == 0
    for visitor in visitors:
        visitor.join()
    assert not [failure for visitor in visitors for failure in visitor.failures]
