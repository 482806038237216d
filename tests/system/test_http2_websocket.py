"""WebSocket over HTTP/2 (RFC 8441): an extended CONNECT is bridged to an HTTP/1.1 upgrade."""

import base64
import hashlib
import os
import struct
import threading
from contextlib import contextmanager

import pytest
from harness import duration, response, seconds, server, wait_for, websocket_echo, websocket_server
from harness.h2_client import H2Client, bystander, h2_site
from harness.h2_frames import CONNECT_PROTOCOL, H2Error, data_frame, request_fields, reset_frame, window_update
from harness.h2_raw import RawH2Client

CONNECT = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/chat?x=1"),
           (":authority", "test.example"), ("sec-websocket-version", "13")]


def accept_of(key: str) -> str:
    """RFC 6455 section 4.2.2."""
    return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


def switch(request, *fields: str) -> str:
    return "\r\n".join(["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket",
                        f"Sec-WebSocket-Accept: {accept_of(request.get('Sec-WebSocket-Key'))}", *fields, "", ""])


class Socket:
    """A WebSocket on a stream of a raw client: text messages, masked as a client's have to be."""

    def __init__(self, client: RawH2Client, *fields: tuple[str, str]):
        self.client = client
        self.stream = client.open([*CONNECT, *fields], end=False)
        client.wait(lambda: self.stream.status is not None or self.stream.over, "an answer to CONNECT")
        self.sent = 0

    def send(self, payload: bytes, opcode: int = 1, end: bool = False) -> None:
        mask = os.urandom(4)
        size = len(payload)
        length = struct.pack("!B", size | 0x80) if size < 126 else struct.pack("!BH", 126 | 0x80, size) \
            if size < 65536 else struct.pack("!BQ", 127 | 0x80, size)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self.send_bytes(bytes([0x80 | opcode]) + length + mask + masked, end)

    def send_bytes(self, data: bytes, end: bool = False) -> None:
        """As far as the window goes, again and again."""
        while data:
            room = self.client.wait(self.room, "a window")
            piece, data = data[:min(room, 16384)], data[min(room, 16384):]
            self.sent += len(piece)
            self.client.send(data_frame(self.stream.id, piece, end=end and not data))

    def room(self) -> int:
        initial = (self.client.settings or {}).get(4, 65535)
        return initial + self.client.windows.get(self.stream.id, 0) - self.sent

    def receive(self) -> tuple[int, bytes]:
        """The next message: opcode and payload."""
        data = self.stream.body
        opcode, size = self.take(2)[:2]
        if size == 126:
            size = int.from_bytes(self.take(2), "big")
        elif size == 127:
            size = int.from_bytes(self.take(8), "big")
        assert data is self.stream.body
        return opcode & 0xf, self.take(size)

    def take(self, size: int) -> bytes:
        self.client.wait(lambda: len(self.stream.body) >= size or self.stream.over, f"{size} bytes of a tunnel")
        taken = bytes(self.stream.body[:size])
        assert len(taken) == size, self.client.story()
        del self.stream.body[:size]
        return taken


def open_client(palier) -> RawH2Client:
    client = RawH2Client(palier.port)
    client.wait(lambda: client.settings is not None, "SETTINGS")
    client.send(window_update(0, 1 << 30))
    client.replenish = 32768
    return client


@pytest.fixture
def echo_site(start_palier):
    with websocket_server(websocket_echo) as address:
        yield lambda **config: start_palier(h2_site([server("ws", address)], **config))


def test_extended_connect_is_offered(echo_site):
    with open_client(echo_site()) as client:
        assert client.settings[CONNECT_PROTOCOL] == 1


def test_echo(echo_site):
    palier = echo_site()
    with bystander_of(palier), open_client(palier) as client:
        talk = Socket(client)
        assert talk.stream.status == 200, client.story()
        names = {name for name, _ in talk.stream.fields}
        assert not names & {"sec-websocket-accept", "upgrade", "connection", "content-length"}
        for message in (b"hello", b"", b"x" * 200, b"y" * 70_000, b"z" * 1_000_000):
            talk.send(message)
            assert talk.receive() == (1, message)
        talk.send(b"ping", opcode=9)
        assert talk.receive() == (10, b"ping")


@contextmanager
def bystander_of(palier):
    """Another client whose answers are refusals of the WebSocket server, which is all that is needed of them."""
    with H2Client(palier.port) as other:
        assert other.request(path="/plain").status == 426
        yield
        assert other.request(path="/plain").status == 426


def test_many_sockets_on_one_connection(echo_site):
    with open_client(echo_site()) as client:
        talks = [Socket(client) for _ in range(30)]
        for turn in range(3):
            for number, talk in enumerate(talks):
                talk.send(f"{turn}.{number}".encode())
            for number, talk in enumerate(talks):
                assert talk.receive() == (1, f"{turn}.{number}".encode())


def test_close_of_the_server(echo_site):
    palier = echo_site()
    with open_client(palier) as client:
        talk = Socket(client)
        talk.send(b"close 4001")
        assert talk.receive() == (8, struct.pack("!H", 4001) + b"as asked")
        talk.send(struct.pack("!H", 4001), opcode=8)
        client.wait(lambda: talk.stream.ended, "END_STREAM")
        client.send(data_frame(talk.stream.id, b"", end=True))
        assert Socket(client).stream.status == 200
    line = palier.wait_access_log(1)[0]
    assert line["reason"] == "tunnel" and line["protocol"] == "HTTP/2.0"


def test_close_of_the_client(echo_site):
    palier = echo_site()
    with open_client(palier) as client:
        talk = Socket(client)
        talk.send(struct.pack("!H", 4002), opcode=8)
        assert talk.receive() == (8, struct.pack("!H", 4002))
        client.send(data_frame(talk.stream.id, b"", end=True))
        client.wait(lambda: talk.stream.ended, "END_STREAM")
    assert palier.wait_access_log(1)[0]["reason"] == "tunnel"


def test_upgrade_that_the_backend_gets(raw_backend, start_palier):
    def handler(connection):
        request = connection.read_request()
        connection.send(switch(request, "Sec-WebSocket-Protocol: chat", "X-Kept: 1"))
        connection.stall()

    backend = raw_backend(handler=handler)
    palier = start_palier(h2_site([server("a", backend.address)]))
    with open_client(palier) as client:
        first = Socket(client, ("sec-websocket-protocol", "chat, other"), ("origin", "http://test.example"),
                       ("sec-websocket-key", "ZXZpbGV2aWxldmlsZXZpbA=="))
        assert (first.stream.status, first.stream.get("sec-websocket-protocol"), first.stream.get("x-kept")) == (
            200, "chat", "1")
        Socket(client)
    request, other = backend.requests
    assert request.start_line == "GET /chat?x=1 HTTP/1.1" and request.get("Host") == "test.example"
    assert request.get("Upgrade").lower() == "websocket" and request.get("Connection").lower() == "upgrade"
    assert request.get("Sec-WebSocket-Version") == "13" and request.get("Sec-WebSocket-Protocol") == "chat, other"
    assert request.get("Origin") == "http://test.example" and request.get("X-Forwarded-For") == "127.0.0.1"
    key = request.get("Sec-WebSocket-Key")
    assert len(base64.b64decode(key, validate=True)) == 16 and key != "ZXZpbGV2aWxldmlsZXZpbA=="
    assert key != other.get("Sec-WebSocket-Key")
    assert "Content-Length" not in request and "Transfer-Encoding" not in request


def test_bytes_go_both_ways_untouched(raw_backend, start_palier):
    def handler(connection):
        request = connection.read_request()
        connection.send(switch(request) + "first words")
        assert connection.read_exactly(6) == b"answer"
        connection.send("last words")

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)]))
    with open_client(palier) as client:
        talk = Socket(client)
        assert talk.take(11) == b"first words"
        talk.send_bytes(b"answer")
        client.wait(lambda: talk.stream.over, "the end")
        assert talk.stream.ended and talk.take(10) == b"last words"


def test_last_words_to_a_backend_that_has_ended_its_side(raw_backend, start_palier):
    """They come with the END_STREAM that closes the stream."""
    heard = []

    def handler(connection):
        request = connection.read_request()
        connection.send(switch(request))
        assert connection.read_exactly(2) == b"go"
        connection.half_close()
        heard.append(connection.read_until_close())

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)]))
    with open_client(palier) as client:
        talk = Socket(client)
        talk.send_bytes(b"go")
        client.wait(lambda: talk.stream.ended, "the end of the backend's side")
        talk.send_bytes(b"last words", end=True)
        wait_for(lambda: heard, "the end of the tunnel")
    assert heard == [b"last words"]


def test_last_words_that_a_backend_takes_its_time_for(raw_backend, start_palier):
    """The stream is closed on both sides while palier still holds what the backend has not taken."""
    size, go_on, heard = 4 * 1024 * 1024, threading.Event(), []

    def handler(connection):
        request = connection.read_request()
        connection.send(switch(request))
        connection.half_close()
        connection.wait(go_on)
        heard.append(len(connection.read_until_close()))

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)]))
    with H2Client(palier.port) as client:
        stream = client.start("CONNECT", "/chat", fields=[(":protocol", "websocket"), ("sec-websocket-version", "13")],
                              end=False)
        client.wait(lambda: stream.ended, "the end of the backend's side")
        sent = 0
        while sent < size:  # as much as goes while nobody reads: the windows shut
            room = min(client.window(stream), 16384, size - sent)
            if room <= 0:
                go_on.set()
                client.wait(lambda: client.window(stream) > 0, "an open window")
                continue
            client.h2.send_data(stream.id, bytes(room), end_stream=sent + room == size)
            client.send(client.h2.data_to_send())
            sent += room
        go_on.set()
        wait_for(lambda: heard, "the end of the tunnel")
    assert heard == [size]
    assert palier.wait_access_log(1)[0]["reason"] == "tunnel"


def test_connect_that_opened_no_tunnel_leaves_nothing_behind(start_palier, raw_backend):
    """Its client never ends its side: the stream has to end all the same, and the connection with its idle time."""
    palier = start_palier(h2_site([server("a", raw_backend().address)], route=[{"pool": "web", "path": "/web"}],
                                  timeouts={"client_idle": duration(0.5)}))
    with RawH2Client(palier.port) as client:
        stream = client.open(CONNECT, end=False)
        client.wait(lambda: stream.status is not None, "an answer")
        assert stream.status == 404
        assert client.wait_reset(stream) == H2Error.NO_ERROR
        assert client.wait_goaway() == H2Error.NO_ERROR


def test_early_bytes_wait_for_the_switch(raw_backend, start_palier):
    go_on = threading.Event()

    def handler(connection):
        request = connection.read_request()
        connection.wait(go_on)
        assert connection.received.endswith(b"\r\n\r\n"), "nothing is tunnelled before the 101"
        connection.send(switch(request))
        assert connection.read_exactly(5) == b"EARLY"
        connection.send("got it")

    backend = raw_backend(handler=handler)
    palier = start_palier(h2_site([server("a", backend.address)]))
    with open_client(palier) as client:
        stream = client.open(CONNECT, end=False, extra=data_frame(1, b"EARLY"))
        backend.wait_served(1)
        assert stream.status is None
        go_on.set()
        client.wait(lambda: stream.over, "the end")
        assert (stream.status, stream.body) == (200, b"got it")


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "426 Upgrade Required", "503 No Servers"])
def test_refused_upgrade_is_an_ordinary_answer(raw_backend, start_palier, status):
    backend = raw_backend(response("no tunnel", status))
    palier = start_palier(h2_site([server("a", backend.address)]))
    with open_client(palier) as client:
        stream = client.open(CONNECT, end=False, extra=data_frame(1, b"\x81\x85raw frame bytes"))
        client.wait(lambda: stream.over, "the end")
        assert (stream.status, stream.body) == (int(status[:3]), b"no tunnel")
        assert client.get("/next").status == int(status[:3])
    assert b"raw frame" not in backend.received, "the smuggling case"


@pytest.mark.parametrize("status", ["200 OK", "204 No Content"])
def test_success_that_is_no_switch_does_not_look_like_one(raw_backend, start_palier, status):
    """To a client of HTTP/2 any 2xx would mean that the tunnel is open."""
    backend = raw_backend(response("ok", status) if status == "200 OK" else f"HTTP/1.1 {status}\r\n\r\n".encode())
    palier = start_palier(h2_site([server("a", backend.address)]))
    with open_client(palier) as client:
        stream = client.open(CONNECT, end=False)
        client.wait(lambda: stream.over, "the end")
        assert stream.status is None or stream.status >= 400, client.story()
        assert client.get("/next").status < 300


@pytest.mark.parametrize("accept", [
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "Sec-WebSocket-Accept: \r\n", ""],
    ids=["wrong", "empty", "none"])
def test_wrong_accept_opens_no_tunnel(raw_backend, start_palier, accept):
    """Who sent the key checks the answer to it (RFC 6455 section 4.1), and that was palier."""
    def handler(connection):
        if connection.read_request().target == "/next":
            connection.send(response("ok"))
        else:
            connection.send(f"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{accept}\r\nraw bytes")
            connection.stall()

    backend = raw_backend(handler=handler)
    palier = start_palier(h2_site([server("a", backend.address)]))
    with open_client(palier) as client:
        stream = client.open(CONNECT, end=False)
        client.wait(lambda: stream.over, "the end")
        assert stream.reset == H2Error.INTERNAL_ERROR or stream.status == 502, client.story()
        assert b"raw bytes" not in stream.body
        assert client.get("/next").body == b"ok"
    wait_for(lambda: backend.connections[0].socket.fileno() == -1, "the end of the backend's connection")


@pytest.mark.parametrize("how", ["END_STREAM", "reset", "connection"])
def test_client_that_leaves_frees_the_backend(raw_backend, start_palier, how):
    heard, gone = threading.Event(), threading.Event()

    def handler(connection):
        request = connection.read_request()
        connection.send(switch(request))
        assert connection.read_exactly(5) == b"words"
        heard.set()
        assert connection.read_until_close() == b""
        gone.set()

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)]))
    with open_client(palier) as client:
        talk = Socket(client)
        talk.send_bytes(b"words", end=how == "END_STREAM")
        wait_for(heard.is_set, "the words at the backend")
        if how == "reset":
            client.send(reset_frame(talk.stream.id))
        if how == "connection":
            client.close()
        wait_for(gone.is_set, "the end of the backend's side")
        if how == "END_STREAM":
            client.wait(lambda: talk.stream.over, "the end of the stream")
            assert talk.stream.ended


@pytest.mark.parametrize("how", ["close", "reset"])
def test_backend_that_leaves_ends_the_stream(raw_backend, start_palier, how):
    def handler(connection):
        request = connection.read_request()
        connection.send(switch(request))
        assert connection.read_exactly(2) == b"go"
        if how == "reset":
            connection.reset()

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)]))
    with open_client(palier) as client:
        talk, other = Socket(client), Socket(client)
        talk.send_bytes(b"go")
        client.wait(lambda: talk.stream.over, "the end of the stream")
        assert not other.stream.over
        other.send_bytes(b"go")
        client.wait(lambda: other.stream.over, "the end of the other")


def test_tunnel_that_nobody_reads_stops_its_sender(raw_backend, start_palier):
    """And no other stream."""
    stopped = threading.Event()

    def handler(connection):
        request = connection.read_request()
        if request.target == "/other":
            connection.send(response("ok"))
            return
        connection.send(switch(request))
        connection.socket.settimeout(seconds(0.5))
        with pytest.raises(TimeoutError):
            for _ in range(64):
                connection.send(bytes(1 << 20))
        stopped.set()
        connection.stall()

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)]))
    with open_client(palier) as client:
        client.replenish = 0
        Socket(client)
        wait_for(stopped.is_set, "the sender to be held back", timeout=30)
        other = client.open(request_fields("GET", "/other"))
        assert client.finish(other).body == b"ok"


def test_silent_tunnel_ends_at_its_timeout(echo_site):
    with open_client(echo_site(timeouts={"tunnel": duration(0.5)})) as client:
        talk = Socket(client)
        assert talk.stream.status == 200
        client.wait(lambda: talk.stream.over, "the end of the tunnel")
        assert Socket(client).stream.status == 200, "the connection goes on"


@pytest.mark.parametrize("name, head", [
    ("unknown protocol", [(n, "connect-udp" if n == ":protocol" else v) for n, v in CONNECT]),
    ("no path", [(n, v) for n, v in CONNECT if n != ":path"]),
    ("no scheme", [(n, v) for n, v in CONNECT if n != ":scheme"]),
    ("no authority", [(n, v) for n, v in CONNECT if n != ":authority"]),
    ("a GET", [(n, "GET" if n == ":method" else v) for n, v in CONNECT]),
    ("two protocols", [*CONNECT[:2], *CONNECT[1:]]),
    ("a length", [*CONNECT, ("content-length", "5")]),
    ("an upgrade", [*CONNECT, ("upgrade", "websocket"), ("connection", "upgrade")]),
    ("a line in the protocol", [(n, "websocket\r\nx-evil: 1" if n == ":protocol" else v) for n, v in CONNECT]),
], ids=lambda value: value if isinstance(value, str) else "")
def test_connects_that_are_none(raw_backend, start_palier, name, head):
    backend = raw_backend(response("ok"))
    palier = start_palier(h2_site([server("a", backend.address)]))
    with bystander(palier.port), open_client(palier) as client:
        stream = client.open(head, end=False)
        client.wait(lambda: stream.over, "a refusal")
        assert stream.reset == H2Error.PROTOCOL_ERROR or stream.status in (400, 405, 501), client.story()
        assert client.get("/next").body == b"ok"
    assert {request.target for request in backend.requests} == {"/bystander", "/next"}
