"""Clients that do not mean well, or whose network does not: before, during and after the handshake."""

import random
import socket
import ssl
import time
from pathlib import Path

import pytest
from harness import (
    SANITIZED, RawClient, TlsClient, client_context, client_hello, duration, seconds, wait_for)


@pytest.fixture
def answering(secure, raw_backend):
    """palier with TLS before a backend that says "a"."""
    return lambda **config: secure(raw_backend(name="a"), **config)


def open_sockets(palier) -> int:
    """How many sockets the process has open."""
    count = 0
    for entry in Path(f"/proc/{palier.pid}/fd").iterdir():
        try:
            count += str(entry.readlink()).startswith("socket:")
        except FileNotFoundError:
            pass
    return count


def wait_gone(palier, sockets_before: int) -> None:
    """All clients' connections are closed; what a worker keeps toward the backend may stay."""
    wait_for(lambda: open_sockets(palier) <= sockets_before + 2, "the connections to be gone")


def assert_unharmed(palier) -> None:
    """Another client is served as ever."""
    with TlsClient(palier.port) as client:
        assert client.request().body == b"a"


HELLO = client_hello()
RECORD = b"\x16\x03\x01"

GARBAGE = {
    "zeros": bytes(400),
    "ones": b"\xff" * 400,
    "random": random.Random(1).randbytes(2000),
    "lower-case text": b"hello there\r\n\r\n",
    "SSH": b"\x00SSH-2.0-x\r\n",
    "SSLv2 hello": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(37),
    "record too large": RECORD + b"\xff\xff" + b"\x01" * 70000,
    "empty record": RECORD + b"\x00\x00" * 50,
    "alert first": b"\x15\x03\x01\x00\x02\x02\x28",
    "data first": b"\x17\x03\x03\x00\x20" + bytes(32),
    "hello with a wrong length": RECORD + b"\x00\x30\x01\x00\xff\xff" + bytes(44),
    "hello that never ends": RECORD + b"\x40\x00\x01\xff\xff\xff" + b"\x41" * 16380,
    "hello scrambled": HELLO[:60] + bytes(reversed(HELLO[60:])),
    "name cut short": HELLO.replace(b"test.example", b"test.exampl\x00"),
    "name with a NUL": HELLO.replace(b"test.example", b"test\x00example"),
    "name with a slash": HELLO.replace(b"test.example", b"../../../etc"),
}


@pytest.mark.parametrize("spoken", GARBAGE.values(), ids=GARBAGE)
def test_garbage_instead_of_a_hello(answering, spoken):
    palier = answering()
    with palier.connect() as client:
        try:
            client.send(spoken).half_close()
        except OSError:
            pass  # palier may have had enough before the end
        said = client.read_whatever()
    assert said[:1] in (b"", b"\x15", b"\x16"), said  # nothing, an alert, or a handshake that leads nowhere
    assert b"HTTP" not in said
    assert_unharmed(palier)


def test_every_cut_of_a_hello(answering):
    """The client goes away after each number of bytes."""
    palier = answering()
    for length in range(0, len(HELLO), 7):
        with palier.connect() as client:
            client.send(HELLO[:length]).half_close()
            assert b"HTTP" not in client.read_whatever()
    assert_unharmed(palier)


@pytest.mark.parametrize("seed", range(3))
def test_hello_with_bytes_changed(answering, seed):
    palier = answering()
    chance = random.Random(seed)
    for _ in range(60):
        hello = bytearray(HELLO)
        for _ in range(chance.randint(1, 5)):
            hello[chance.randrange(5, len(hello))] = chance.randrange(256)
        with palier.connect() as client:
            client.send(bytes(hello)).half_close()
            client.read_whatever()
    assert_unharmed(palier)


class Bytewise:
    """A TLS client of which every byte is sent by itself, handshake and requests."""

    def __init__(self, port: int, context: ssl.SSLContext):
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="test.example")
        self._client = RawClient(port)
        self._call(self._tls.do_handshake)

    def _call(self, function, *arguments):
        while True:
            try:
                result = function(*arguments)
                self._client.send_bytewise(self._outgoing.read())
                return result
            except ssl.SSLWantReadError:
                self._client.send_bytewise(self._outgoing.read())
                data = self._client.socket.recv(65536)
                assert data, "closed"
                self._incoming.write(data)

    def get(self) -> bytes:
        self._call(self._tls.write, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b"\r\n\r\na"):
            answer += self._call(self._tls.read, 65536)
        return answer

    def close(self) -> None:
        self._client.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_byte_by_byte(answering, version):
    context = client_context()
    context.minimum_version = context.maximum_version = version
    client = Bytewise(answering().port, context)
    for _ in range(2):
        assert client.get().startswith(b"HTTP/1.1 200")
    client.close()


def test_hello_in_many_records(answering):
    """A handshake message may be cut into records of one byte each."""
    palier = answering()
    message = HELLO[5:]
    with palier.connect() as client:
        client.send(b"".join(RECORD + b"\x00\x01" + message[i:i + 1] for i in range(len(message))))
        assert client.read_exactly(1) in (b"\x16", b"\x15")  # OpenSSL may have a limit; it is answered either way
    assert_unharmed(palier)


# Silence


@pytest.mark.parametrize("spoken", [b"", HELLO[:1], HELLO[:100], HELLO], ids=["nothing", "a byte", "a part", "a hello"])
def test_silence_is_ended_by_the_handshake_deadline(answering, spoken):
    palier = answering(timeouts={"handshake": duration(0.5), "client_header": "60s"})
    with palier.connect() as client:
        began = time.monotonic()
        client.send(spoken).read_whatever()
        took = time.monotonic() - began
    assert seconds(0.3) < took < seconds(5), took
    assert_unharmed(palier)


def test_dripping_does_not_extend_the_handshake_deadline(answering):
    palier = answering(timeouts={"handshake": duration(0.6), "client_header": "60s"})
    with palier.connect() as client:
        began = time.monotonic()
        for byte in HELLO:
            try:
                client.send(bytes([byte]))
            except OSError:
                break
            if client.is_closed():
                break
            time.sleep(0.02)  # the pace of the drops
        client.read_whatever()
        assert time.monotonic() - began < seconds(5)
    assert_unharmed(palier)


def test_silence_after_the_handshake_is_ended_by_the_header_deadline(answering):
    palier = answering(timeouts={"handshake": "60s", "client_header": duration(0.5)})
    with TlsClient(palier.port) as client:
        began = time.monotonic()
        client.read_whatever()
        assert seconds(0.3) < time.monotonic() - began < seconds(5)


def test_slow_handshakes_do_not_hold_up_others(answering):
    palier = answering(workers=1)
    silent = [palier.connect().send(HELLO[:200]) for _ in range(50)]
    began = time.monotonic()
    assert_unharmed(palier)
    assert time.monotonic() - began < seconds(3)
    for client in silent:
        client.close()


# Going away


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("spoken", [b"", HELLO[:50], HELLO], ids=["nothing", "a part", "a hello"])
def test_closed_amid_the_handshake(answering, spoken, how):
    palier = answering()
    sockets = open_sockets(palier)
    for _ in range(20):
        client = palier.connect().send(spoken)
        if spoken == HELLO:
            client.read_exactly(5)  # palier has answered, and waits
        getattr(client, how)()
    wait_gone(palier, sockets)
    assert_unharmed(palier)


def test_a_thousand_connections_opened_and_dropped(answering):
    palier = answering(workers=2)
    assert_unharmed(palier)
    before, sockets = palier.resident(), open_sockets(palier)
    chance = random.Random(7)
    for _ in range(20):
        clients = [palier.connect() for _ in range(50)]
        for number, client in enumerate(clients):
            client.send((b"", HELLO[:chance.randrange(len(HELLO))], HELLO, b"GET / HTTP/1.1\r\n")[number % 4])
        for number, client in enumerate(clients):
            client.reset() if number % 3 == 0 else client.close()
    assert_unharmed(palier)
    wait_gone(palier, sockets)
    if not SANITIZED:
        assert palier.resident() - before < 8 << 20


def test_a_thousand_handshakes_and_no_request(answering):
    palier = answering(workers=2)
    context = client_context()
    assert_unharmed(palier)
    before, sockets = palier.resident(), open_sockets(palier)
    for number in range(300 if SANITIZED else 1000):
        client = TlsClient(palier.port, context=context)
        client.reset() if number % 2 else client.close()
    assert_unharmed(palier)
    wait_gone(palier, sockets)
    if not SANITIZED:
        assert palier.resident() - before < 8 << 20


# Truncation


@pytest.mark.parametrize("framing, body", [("Content-Length: 100", b"x" * 50),
                                           ("Transfer-Encoding: chunked", b"32\r\n" + b"x" * 50 + b"\r\n")])
def test_truncated_request_is_no_request(secure, raw_backend, framing, body):
    backend = raw_backend()
    palier = secure(backend)
    with TlsClient(palier.port) as client:
        client.send(f"POST / HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode() + body)
        wait_for(lambda: backend.received.endswith(body), "the first half at the backend")
        client.cut()
        assert b" 200 " not in client.read_whatever()
    wait_for(lambda: backend.connections[0].socket.fileno() < 0, "the end of the backend's connection")
    assert backend.served == 0
    assert palier.wait_access_log(1)[0]["reason"] == "client_closed"


def test_truncated_head_is_no_request(secure, raw_backend):
    backend = raw_backend()
    palier = secure(backend)
    with TlsClient(palier.port) as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n")
        client.cut()
        assert b" 200 " not in client.read_whatever()
    assert backend.accepted == 0


def test_changed_record_ends_the_connection(secure, raw_backend):
    """An attacker between client and palier changes a byte of a request."""
    backend = raw_backend()
    palier = secure(backend)
    with TlsClient(palier.port) as client:
        raw = socket.fromfd(client.socket.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        raw.sendall(b"\x17\x03\x03\x00\x30" + bytes(48))
        assert client.read_whatever() == b""
        raw.close()
    assert backend.accepted == 0


def test_plain_bytes_after_the_handshake_are_no_request(secure, raw_backend):
    backend = raw_backend()
    palier = secure(backend)
    with TlsClient(palier.port) as client:
        raw = socket.fromfd(client.socket.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in client.read_whatever()
        raw.close()
    assert backend.accepted == 0


def test_plain_bytes_before_the_handshake_are_no_part_of_the_request(secure, raw_backend):
    """What came before TLS began (CVE-2011-0411 and its kin) must not be prefixed to what came in it."""
    backend = raw_backend()
    palier = secure(backend)
    with palier.connect() as client:
        said = client.send(b"GET /smuggled HTTP/1.1\r\nHost: x\r\nX: " + HELLO).read_whatever()
    assert said.startswith(b"HTTP/1.1 400 ")
    assert backend.accepted == 0


def test_endless_warnings_and_empty_records_end_the_connection(answering):
    """Records without content cost a little each; OpenSSL counts them."""
    palier = answering()
    with palier.connect() as client:
        client.send(HELLO)
        try:
            for _ in range(200):
                client.send(b"\x14\x03\x03\x00\x01\x01" * 100)  # change_cipher_spec, which TLS 1.3 has to ignore
        except OSError:
            pass
        client.read_whatever()
    assert_unharmed(palier)
