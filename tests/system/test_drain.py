"""drain, disable and enable: nothing new reaches a server once the reply has come, nothing under way is lost."""

import asyncio
import signal
import threading

import pytest
import websockets
from harness import (
    BINARY, Child, H2loadResult, Held, Wrk, duration, h2load, response, seconds, server, site, wait_for, websocket_echo,
    websocket_server)
from harness.h2_client import h2_site
from harness.probed_front import QUICK, ProbedFront, wait_all_up, wait_change


def test_no_request_after_the_reply(raw_backend, start_palier):
    """Under load over HTTP/1.1 and HTTP/2 from both workers."""
    a, b = raw_backend(name="a"), raw_backend(name="b")
    palier = start_palier(h2_site([server("a", a.address), server("b", b.address)], workers=2))
    streams: list[H2loadResult] = []
    load = threading.Thread(target=lambda: streams.append(h2load(palier.url, 1500, 2, "-m", "4", http2=True)))
    with Wrk(palier.url, connections=8) as wrk, palier.control() as control:
        load.start()
        for _ in range(3):
            wait_for(lambda: a.served > 0, "requests at a")
            assert control.do("drain web/a wait=10s")["drained"] is True
            at_the_reply, others = a.served, b.served
            wait_for(lambda: b.served > others + 50, "requests at b")
            assert a.served == at_the_reply
            control.do("enable web/a")
            wait_for(lambda: a.served > at_the_reply, "requests at a again")
        load.join()
        result = wrk.stop()
    assert result.failures == 0, result.text
    assert (streams[0].failed, streams[0].statuses["2xx"]) == (0, 1500), streams[0].text


def test_idle_connections_close_at_once(raw_backend, start_palier):
    closed = threading.Event()

    def serve_one(connection):
        connection.read_request()
        connection.send(response("a"))
        assert connection.read_until_close() == b""
        closed.set()

    backend = raw_backend(handler=serve_one)
    palier = start_palier(site([server("a", backend.address)], workers=1, timeouts={"server_idle": "1h"}))
    assert palier.get().body == b"a"
    with palier.control() as control:
        assert control.do("pools")["pools"][0]["servers"][0]["connections"] == 1
        assert control.do("drain web/a")["warning"] == "pool web has no usable server now"
        assert closed.wait(seconds(5))
        wait_for(lambda: control.do("pools")["pools"][0]["servers"][0]["connections"] == 0, "no connection to it")
    assert palier.get().status == 503


def test_a_wait_tells_of_what_is_in_flight(raw_backend, start_palier):
    held = Held()
    backend = raw_backend(handler=held)
    palier = start_palier(site([server("a", backend.address), server("b", raw_backend(name="b").address)], workers=1))
    clients = [palier.connect() for _ in range(6)]
    with palier.control() as control:
        for client in clients:
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: backend.served == 3, "three requests at a")
        late = control.ask("drain web/a wait=200ms")
        assert late[0] == {"event": "draining", "in_flight": 3, "tunnels": 0}
        assert late[-1]["error"] == "3 exchanges are still in flight after 200ms; web/a stays drained"
        assert (late[-1]["in_flight"], late[-1]["drained"]) == (3, False)
        control.send("drain web/a wait=30s")
        assert control.read_line()["in_flight"] == 3
        held.release.set()
        lines = control.read_reply()
        numbers = [line["in_flight"] for line in lines]
        assert numbers == sorted(numbers, reverse=True) and numbers[-1] == 0
        assert lines[-1] | {"in_flight": 0} == lines[-1] and lines[-1]["drained"] is True
    assert {client.read_response().body for client in clients} == {b"finished", b"b"}
    for client in clients:
        client.close()


def test_a_wait_that_is_interrupted_leaves_the_server_drained(raw_backend, start_palier, tmp_path):
    held = Held()
    backend = raw_backend(handler=held)
    palier = start_palier(site([server("a", backend.address)]))
    with palier.connect() as client, palier.control() as control:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: backend.served == 1, "the request at a")
        child = Child([BINARY, "ctl", "-s", palier.control_path, "drain", "web/a", "wait=30s"], tmp_path, "ctl")
        wait_for(lambda: child.stdout() == "draining: in flight 1, tunnels 0\n", "the first event")
        assert child.stop(signal.SIGINT) == -signal.SIGINT
        assert child.stderr().endswith("\npalier ctl: interrupted; web/a stays drained\n")
        (row,) = control.do("pools web")["pools"][0]["servers"]
        assert (row["admin"], row["in_flight"]) == ("drained", 1)
        held.release.set()
        assert client.read_response().body == b"finished"


@pytest.mark.parametrize("tunnels", ["wait", "close"])
def test_tunnels_are_counted_and_end_as_asked(tunnels, start_palier):
    with websocket_server(websocket_echo) as address:
        palier = start_palier(site([server("ws", address)], workers=1))

        async def conversation():
            url = f"ws://127.0.0.1:{palier.port}/chat"
            async with websockets.connect(url, open_timeout=seconds(10)) as connection:
                await connection.send("before")
                assert await connection.recv() == "before"
                drain = asyncio.create_task(asyncio.to_thread(drained, f"wait=200ms tunnels={tunnels}"))
                if tunnels == "close":
                    with pytest.raises(websockets.ConnectionClosed):
                        await asyncio.wait_for(connection.recv(), seconds(10))
                    return await drain
                lines = await drain
                await connection.send("still here")
                assert await connection.recv() == "still here"
                return lines

        def drained(options: str) -> list[dict]:
            with palier.control() as control:
                return control.ask(f"drain web/ws {options}")

        lines = asyncio.run(asyncio.wait_for(conversation(), seconds(20)))
        if tunnels == "close":
            assert lines[-1]["drained"] is True
        else:
            assert lines[0] == {"event": "draining", "in_flight": 1, "tunnels": 1}
            assert lines[-1]["error"] == (
                "1 exchange is still in flight after 200ms, of which 1 tunnel; web/ws stays drained")


def test_a_wait_ends_when_somebody_else_enables_the_server(raw_backend, start_palier):
    held = Held()
    backend = raw_backend(handler=held)
    palier = start_palier(site([server("a", backend.address)]))
    with palier.connect() as client, palier.control() as one, palier.control() as other:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        one.send("drain web/a wait=1h")
        assert one.read_line()["in_flight"] == 1
        other.do("enable web/a")
        assert one.read_reply()[-1]["error"] == "web/a is not drained any more: that was changed meanwhile"
        held.release.set()
        assert client.read_response().body == b"finished"


def test_a_disabled_server_is_not_probed_and_returns_through_its_probes(raw_backend, start_palier):
    a, b = ProbedFront(raw_backend, "a"), ProbedFront(raw_backend, "b")
    palier = start_palier(site([server("a", a.address), server("b", b.address)],
                               pool={"health": QUICK | {"interval": duration(0.1), "timeout": duration(0.1)}},
                               workers=1))
    wait_all_up(palier, "web/a", "web/b")
    with palier.control() as control:
        assert control.do("disable web/a")["admin"] == "disabled"
        b.wait_probes(2)  # one to a may have been on its way
        seen = len(a.probes)
        b.wait_probes(5)
        assert len(a.probes) == seen
        assert {palier.get().body for _ in range(4)} == {b"b"}

        a.health = 503
        control.do("enable web/a")
        a.wait_probes(2)
        assert {palier.get().body for _ in range(4)} == {b"b"}, "it has to prove itself first"
        a.health = 200
        wait_for(lambda: palier.get().body == b"a", "a to be used again")


def test_a_drained_server_is_probed_on_and_used_by_no_means(raw_backend, start_palier):
    """when_none = "try_all" tries whoever is ill, but nobody whom operators took out."""
    a, b = ProbedFront(raw_backend, "a"), ProbedFront(raw_backend, "b")
    palier = start_palier(site([server("a", a.address), server("b", b.address)],
                               pool={"when_none": "try_all", "health": QUICK, "outlier": {"failures": 0}}, workers=1))
    wait_all_up(palier, "web/a", "web/b")
    with palier.control() as control:
        control.do("drain web/a")
        a.wait_probes(1)
        b.health = 503
        wait_change(palier, "falling -> down", "web/b")
        assert {palier.get().body for _ in range(4)} == {b"b"}
        warning = control.do("disable web/b")["warning"]
        assert warning == "pool web has no usable server now"
        assert palier.get().status == 503
    assert a.served == 0
