"""After an upgrade, what operators decide binds the palier before too: it still has clients who were not told to move."""

import os
import signal

import pytest
from harness import Held, RawClient, server, site, wait_for, websocket_echo, websocket_server
from harness.succession import is_running


def idle_client(palier) -> RawClient:
    """One that has had an answer and waits; it cannot be told to move before its next one."""
    client = palier.connect()
    assert client.request().status == 200
    return client


def websocket(port: int) -> RawClient:
    client = RawClient(port)
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n")
    assert client.read_head().status == 101
    return client


@pytest.mark.parametrize("decision, answers", [
    ("only web/b", [b"b"] * 4), ("drain web/a", [b"b"] * 4), ("weight web/a 0", [b"b"] * 4),
    ("maintenance web on", [503] * 4)])
def test_a_decision_binds_every_process_before(raw_backend, succession, decision, answers):
    line = succession(site([server("a", raw_backend(name="a").address), server("b", raw_backend(name="b").address)],
                           log={"access": "off"}))
    clients = []
    try:
        for _ in range(2):
            clients += [idle_client(line.palier) for _ in range(2)]
            line.upgrade()
        with line.control() as control:
            control.do(decision)
        got = [client.request() for client in clients]
        assert [answer.body if answer.status == 200 else answer.status for answer in got] == answers
        assert all(answer.get("Connection") == "close" for answer in got)
    finally:
        for client in clients:
            client.close()


def test_what_is_decided_ends_there_too(raw_backend, succession):
    line = succession(site([server("a", raw_backend(name="a").address)], log={"access": "off"}))
    with idle_client(line.palier) as first, idle_client(line.palier) as second:
        line.upgrade()
        with line.control() as control:
            control.do("drain web/a")
            assert first.request().status == 503
            control.do("enable web/a")
            assert second.request().status == 200


def test_a_wait_counts_what_is_in_flight_there(raw_backend, succession):
    held = Held()
    backend = raw_backend(handler=held)
    line = succession(site([server("a", backend.address)]))
    with line.palier.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        line.upgrade()
        line.upgrade()  # one in between, which has nothing of its own
        with line.control() as control:
            reply = control.ask("drain web/a wait=50ms")[-1]
            assert not reply["ok"] and reply["in_flight"] == 1
            control.send("drain web/a wait=30s")
            assert control.read_line()["in_flight"] == 1
            held.release.set()
            assert control.read_reply()[-1]["drained"] is True
        assert client.read_response().body == b"finished"


def test_its_tunnels_are_named_and_end_when_told(succession):
    with websocket_server(websocket_echo) as address:
        line = succession(site([server("a", address)]))
        former = line.palier.pid
        with websocket(line.palier.port) as tunnel:
            line.upgrade()
            with line.control() as control:
                waited = control.ask("drain web/a wait=50ms")[-1]
                assert (waited["in_flight"], waited["tunnels"]) == (1, 1)
                assert control.ask("drain web/a wait=10s tunnels=close")[-1]["drained"] is True
            tunnel.read_until_close()
        assert line.wait_end(former) == 0


def test_one_that_dies_or_stands_still_holds_nobody_up(raw_backend, succession):
    held = Held()
    backend = raw_backend(handler=held)
    line = succession(site([server("a", backend.address)]))
    former = line.upgrade()
    with line.palier.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        line.upgrade()
        os.kill(former, signal.SIGSTOP)
        with line.control(timeout=30) as control:
            control.do("weight web/a 7")  # waits for it, and says that it does no more
            assert line.palier.events().count("did not answer within 5 s") == 1
            control.send("drain web/a wait=30s")
            assert control.read_line()["in_flight"] == 1
            os.kill(former, signal.SIGKILL)
            assert control.read_reply()[-1]["drained"] is True
        assert line.wait_end(former) in (-signal.SIGKILL, None)
        assert line.palier.events().count("did not answer within 5 s") == 1
        held.release.set()


def test_it_holds_to_what_it_was_told_last(raw_backend, succession):
    line = succession(site([server("a", raw_backend(name="a").address), server("b", raw_backend(name="b").address)],
                           log={"access": "off"}))
    with idle_client(line.palier) as client:
        new = line.upgrade()
        with line.control() as control:
            control.do("only web/b")
        os.kill(new, signal.SIGKILL)
        line.wait_end(new)
        wait_for(lambda: not is_running(new), "the end of the new one")
        assert client.request().body == b"b"
