"""How palier stops, and what signals do."""

import signal
import socket
import threading
import time

import pytest
from harness import Held, RawClient, duration, is_listening, response, seconds, server, site, wait_for

STOPS = pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])


@STOPS
def test_exchange_in_flight_finishes(raw_backend, start_palier, stop):
    held = Held()
    backend = raw_backend(handler=held)
    palier = start_palier(site([server("a", backend.address)], shutdown_grace="30s"))
    with palier.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        palier.send_signal(stop)
        wait_for(lambda: not is_listening(palier.port), "the listener to close")
        assert palier.child.running()
        with pytest.raises(ConnectionRefusedError):
            RawClient(palier.port)
        held.release.set()
        answer = client.read_response()
        assert answer.body == b"finished" and answer.get("Connection", "").lower() == "close"
        assert client.read_until_close() == b""
    palier.stopped_by_test = True
    assert palier.child.wait() == 0


@STOPS
def test_stuck_exchange_is_cut_at_the_end_of_the_grace(raw_backend, start_palier, stop):
    backend = raw_backend(handler=lambda connection: (connection.read_request(), connection.stall()))
    palier = start_palier(site([server("a", backend.address)], shutdown_grace=duration(0.5)))
    with palier.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        began = time.monotonic()
        assert palier.stop(stop) == 0
        took = time.monotonic() - began
        assert seconds(0.4) <= took < seconds(3), took
        client.read_whatever()


def test_idle_clients_do_not_delay_the_end(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(name="a").address)], shutdown_grace="30s"))
    idle = [palier.connect() for _ in range(20)]
    for client in idle:
        assert client.request().body == b"a"
    began = time.monotonic()
    assert palier.stop() == 0
    assert time.monotonic() - began < seconds(5)
    for client in idle:
        assert client.read_whatever() == b""
        client.close()


def test_clients_that_never_spoke_delay_the_end_no_longer_than_a_head_may_take(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(name="a").address)], shutdown_grace="30s",
                               timeouts={"client_header": duration(0.5)}))
    silent = [palier.connect() for _ in range(5)]
    began = time.monotonic()
    assert palier.stop() == 0
    assert time.monotonic() - began < seconds(5)
    for client in silent:
        client.close()


def test_download_in_flight_finishes(raw_backend, start_palier):
    body, half_sent, go_on = b"x" * (8 << 20), threading.Event(), threading.Event()

    def handler(connection):
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:4 << 20])
        half_sent.set()
        connection.wait(go_on)
        connection.send(body[4 << 20:])

    palier = start_palier(site([server("a", raw_backend(handler=handler).address)], shutdown_grace="30s"))
    with palier.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.read_head()
        assert client.read_exactly(4 << 20) == body[:4 << 20]
        palier.send_signal(signal.SIGTERM)
        wait_for(lambda: not is_listening(palier.port), "the listener to close")
        go_on.set()
        assert client.read_exactly(4 << 20) == body[4 << 20:]
        assert client.read_until_close() == b""
    palier.stopped_by_test = True
    assert palier.child.wait() == 0


def test_tunnel_is_cut_at_the_end_of_the_grace(raw_backend, start_palier):
    def handler(connection):
        connection.read_request()
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        connection.stall()

    palier = start_palier(site([server("a", raw_backend(handler=handler).address)], shutdown_grace=duration(0.3)))
    with palier.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        assert client.read_response().status == 101
        assert palier.stop() == 0
        assert client.read_whatever() == b""


def test_stop_before_anything_happened(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(name="a").address)], shutdown_grace="30s", workers=4))
    assert palier.stop() == 0


def test_second_signal_does_not_turn_a_clean_end_into_a_crash(raw_backend, start_palier):
    held = Held()
    backend = raw_backend(handler=held)
    palier = start_palier(site([server("a", backend.address)], shutdown_grace=duration(1)))
    with palier.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        palier.send_signal(signal.SIGTERM)
        wait_for(lambda: not is_listening(palier.port), "the listener to close")
        palier.send_signal(signal.SIGTERM)
        palier.stopped_by_test = True
        assert palier.child.wait() == 0
        client.read_whatever()


def test_port_is_free_again(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(name="a").address)]))
    assert palier.get().status == 200
    palier.stop()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", palier.port))


def test_sigusr1_reopens_the_access_log(raw_backend, start_palier, tmp_path):
    log, rotated = tmp_path / "access.log", tmp_path / "access.log.1"
    palier = start_palier(site([server("a", raw_backend(name="a").address)], log={"access": str(log)}))
    assert palier.get("/before").status == 200
    wait_for(lambda: "/before" in log.read_text(), "the first line")
    log.rename(rotated)
    palier.send_signal(signal.SIGUSR1)
    wait_for(log.exists, "the new file")
    assert palier.get("/after").status == 200
    wait_for(lambda: "/after" in log.read_text(), "the line in the new file")
    assert "/after" not in rotated.read_text() and "/before" not in log.read_text()


def test_log_is_complete_at_the_end(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(name="a").address)]))
    with palier.connect() as client:
        for i in range(100):
            client.request("GET", f"/{i}")
    assert palier.stop() == 0
    assert {line["path"] for line in palier.access_log()} == {f"/{i}" for i in range(100)}


def test_connection_that_becomes_idle_during_the_stop_does_not_delay_the_end(raw_backend, start_palier):
    """Its answer's head was sent before the stop and could not announce it."""
    half, go_on = threading.Event(), threading.Event()

    def handler(connection):
        request = connection.read_request()
        if request.target == "/quick":
            connection.send(response("quick"))
            return
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")
        half.set()
        connection.wait(go_on)
        connection.send("56789")
        connection.stall()

    # With one worker, the sweep that closes the idle connection is the only one.
    palier = start_palier(site([server("a", raw_backend(handler=handler).address)], shutdown_grace="30s", workers=1))
    with palier.connect() as client, palier.connect() as idle:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_head().get("Connection", "keep-alive").lower() == "keep-alive"
        assert client.read_exactly(5) == b"01234"
        assert idle.request("GET", "/quick").body == b"quick"
        palier.send_signal(signal.SIGTERM)
        wait_for(lambda: not is_listening(palier.port), "the listener to close")
        wait_for(idle.is_closed, "the end of the connections that were idle at the stop")
        go_on.set()
        began = time.monotonic()
        assert client.read_exactly(5) == b"56789"
        palier.stopped_by_test = True
        assert palier.child.wait() == 0
        assert time.monotonic() - began < seconds(5)
        assert client.read_until_close() == b""
