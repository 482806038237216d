"""Upgrades: a real WebSocket server behind palier, and backends that answer an upgrade in other ways."""

import asyncio
import threading
import time

import pytest
import websockets
from harness import duration, response, seconds, server, site, wait_for, websocket_echo, websocket_server


@pytest.fixture
def echo_site(start_palier):
    """Starts palier in front of the echo server, with further keys for site()."""
    with websocket_server(websocket_echo) as address:
        yield lambda **config: start_palier(site([server("ws", address)], **config))


def talk(palier, conversation):
    """Runs `conversation(connection)` over a WebSocket through palier."""
    async def run():
        url = f"ws://127.0.0.1:{palier.port}/chat"
        async with websockets.connect(url, max_size=None, open_timeout=seconds(10)) as connection:
            return await asyncio.wait_for(conversation(connection), seconds(20))

    return asyncio.run(run())


def test_echo(echo_site):
    messages = ["hello", "", "caf\u00e9 \U0001f600", b"\x00\xff" * 1000, "x" * 300_000, bytes(1 << 20)]

    async def conversation(connection):
        for message in messages:
            await connection.send(message)
            assert await connection.recv() == message

    talk(echo_site(), conversation)


def test_many_messages_in_flight(echo_site):
    async def conversation(connection):
        async def send_all():
            for i in range(2000):
                await connection.send(f"message {i}")

        sending = asyncio.create_task(send_all())
        for i in range(2000):
            assert await connection.recv() == f"message {i}"
        await sending

    talk(echo_site(), conversation)


def test_ping_is_answered_through_the_tunnel(echo_site):
    async def conversation(connection):
        await (await connection.ping())

    talk(echo_site(), conversation)


def test_close_code_of_the_server_arrives(echo_site):
    async def conversation(connection):
        await connection.send("close 4001")
        await connection.wait_closed()
        return connection.close_code, connection.close_reason

    assert talk(echo_site(), conversation) == (4001, "as asked")


def test_close_code_of_the_client_arrives(start_palier):
    seen = []

    async def remember(connection):
        await connection.wait_closed()
        seen.append(connection.close_code)

    with websocket_server(remember) as address:
        palier = start_palier(site([server("ws", address)]))
        talk(palier, lambda connection: connection.close(4002, "bye"))
        wait_for(lambda: seen == [4002], "the client's close code at the server")


def test_many_tunnels_at_once(echo_site):
    palier = echo_site()

    async def one(number: int):
        async with websockets.connect(f"ws://127.0.0.1:{palier.port}/", open_timeout=seconds(10)) as connection:
            for i in range(5):
                await connection.send(f"{number}.{i}")
                assert await connection.recv() == f"{number}.{i}"

    async def all_of_them():
        await asyncio.gather(*(one(number) for number in range(100)))

    asyncio.run(all_of_them())


UPGRADE = ("GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
SWITCH = ("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


def test_upgrade_fields_are_kept_both_ways(raw_backend, start_palier):
    def handler(connection):
        request = connection.read_request()
        assert request.get("Upgrade") == "websocket" and request.get("Connection").lower() == "upgrade"
        assert request.get("Sec-WebSocket-Key") == "dGhlIHNhbXBsZSBub25jZQ=="
        assert request.get("X-Forwarded-For") == "127.0.0.1"
        connection.send(SWITCH)
        connection.stall()

    palier = start_palier(site([server("a", raw_backend(handler=handler).address)]))
    with palier.connect() as client:
        answer = client.send(UPGRADE).read_response()
        assert answer.status == 101
        assert answer.get("Upgrade") == "websocket" and answer.get("Connection").lower() == "upgrade"
        assert answer.get("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert "Content-Length" not in answer and "Transfer-Encoding" not in answer


def test_bytes_with_the_switch_are_the_tunnels_first(raw_backend, start_palier):
    def handler(connection):
        connection.read_request()
        connection.send(SWITCH + "first words")
        assert connection.read_exactly(6) == b"answer"
        connection.send("last words")

    palier = start_palier(site([server("a", raw_backend(handler=handler).address)]))
    with palier.connect() as client:
        assert client.send(UPGRADE).read_response().status == 101
        assert client.read_exactly(11) == b"first words"
        client.send("answer")
        assert client.read_until_close() == b"last words"


def test_early_bytes_wait_for_the_switch(raw_backend, start_palier):
    go_on = threading.Event()

    def handler(connection):
        connection.read_request()
        connection.wait(go_on)
        assert connection.received.endswith(b"\r\n\r\n"), "nothing is tunnelled before the 101"
        connection.send(SWITCH)
        assert connection.read_exactly(5) == b"EARLY"
        connection.send("got it")

    backend = raw_backend(handler=handler)
    palier = start_palier(site([server("a", backend.address)]))
    with palier.connect() as client:
        client.send(UPGRADE + "EARLY")
        backend.wait_served(1)
        go_on.set()
        assert client.read_response().status == 101
        assert client.read_until_close() == b"got it"


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "426 Upgrade Required"])
def test_refused_upgrade_is_an_ordinary_response(raw_backend, start_palier, status):
    backend = raw_backend(response("no tunnel", status))
    palier = start_palier(site([server("a", backend.address)], workers=1))
    with palier.connect() as client:
        answer = client.send(UPGRADE).read_response()
        assert (f"{answer.status} {answer.reason}", answer.body) == (status, b"no tunnel")
    assert palier.get().body == b"no tunnel"


def test_refused_upgrade_does_not_let_early_bytes_through(raw_backend, start_palier):
    """The smuggling case: what follows a refused upgrade is parsed as a request or not used at all."""
    backend = raw_backend(response("no tunnel", "403 Forbidden"))
    palier = start_palier(site([server("a", backend.address)]))
    with palier.connect() as client:
        client.send(UPGRADE + "\x81\x85raw frame bytes")
        assert client.read_response().status == 403
        client.read_whatever()
    assert b"raw frame" not in backend.received


def test_refused_upgrade_raises_in_a_real_client(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(response("no", "403 Forbidden")).address)]))
    with pytest.raises(websockets.exceptions.InvalidStatusCode) as refused:
        talk(palier, lambda connection: connection.recv())
    assert refused.value.status_code == 403


def test_silent_tunnel_ends_at_its_timeout(echo_site):
    palier = echo_site(timeouts={"tunnel": duration(0.5)})

    async def conversation(connection):
        connection.ping_interval = None
        began = time.monotonic()
        await connection.wait_closed()
        return time.monotonic() - began

    silent = talk(palier, conversation)
    assert seconds(0.4) < silent < seconds(3), silent


def test_traffic_keeps_a_tunnel_open(echo_site):
    palier = echo_site(timeouts={"tunnel": duration(0.5), "client_idle": duration(0.2), "server": duration(0.2)})

    async def conversation(connection):
        until = time.monotonic() + seconds(1.5)
        while time.monotonic() < until:
            await connection.send("still here")
            assert await connection.recv() == "still here"
            with pytest.raises(asyncio.TimeoutError):  # longer than the other timeouts, shorter than the tunnel's
                await asyncio.wait_for(connection.wait_closed(), seconds(0.3))

    talk(palier, conversation)


def test_client_that_disappears_frees_the_backend(raw_backend, start_palier):
    gone = threading.Event()

    def handler(connection):
        connection.read_request()
        connection.send(SWITCH)
        connection.read_until_close()
        gone.set()

    palier = start_palier(site([server("a", raw_backend(handler=handler).address)]))
    client = palier.connect()
    assert client.send(UPGRADE).read_response().status == 101
    client.reset()
    wait_for(gone.is_set, "the end of the backend's side")
