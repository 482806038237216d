"""Three real fronts under load over HTTP/1.1 and HTTP/2, with WebSockets open: reloads, drained and enabled fronts, a
roll-out that restarts each of them, upgrades. Nobody notices anything.

wrk, HTTP/2 clients of our own and visitors on a new connection each are there for the whole time, and so are the
WebSockets: each of these stays where it is, also where its server is drained and its palier has been replaced. h2load sends
nothing any more after a GOAWAY, which it reports as failed requests; it is there until the upgrades begin. What palier
could mend by another try counts as a failure here too."""

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import (
    SANITIZED, Palier, Passersby, SteadyH2load, WebFront, Wrk, duration, free_port, route, seconds, server, to_toml,
    wait_for, websocket_echo, websocket_server)
from harness.h2_client import h2_site
from harness.restarter import Restarter
from harness.steady_h2 import SteadyH2
from harness.tunnels import Tunnels

RELOADS, CYCLES, UPGRADES = (20, 6, 4) if SANITIZED else (200, 50, 20)
INTERVAL = duration(0.25)
SEEN_AFTER_DRAIN = 30  # requests that the other fronts get, before a front is enabled again

def configurations(fronts: list[WebFront], spare: WebFront, chat: list[str]) -> list[dict]:
    """The first is how palier starts; each other one differs in what a reload can change. The first three have the same
    servers in the pool of the fronts."""
    health = {"type": "http", "path": "/health", "interval": INTERVAL, "fast_interval": INTERVAL, "timeout": INTERVAL,
              "rise": 1, "fall": 8}

    def front_server(front: WebFront, **keys) -> dict:
        return server(front.name, front.address, health={"port": front.probe_port}, **keys)

    def web(servers: list[dict]) -> dict:
        return {"name": "web", "health": health, "outlier": {"failures": 0}, "server": servers}

    servers = [front_server(front) for front in fronts]
    talkers = {"name": "chat", "server": [server(f"chat{i}", address) for i, address in enumerate(chat)]}
    extra = {"name": "extra", "server": [server("extra", spare.address)]}
    routes = [route("web"), route("chat", path="/chat")]
    first = h2_site([], workers=2, pools=[talkers], route=routes, tunnel_grace="1h")
    first |= {"pool": [web(servers), talkers]}
    another = {"name": "another", "address": f"127.0.0.1:{free_port()}"}
    return [first,
            first | {"listener": [*first["listener"], another],
                     "route": [*routes, route("web", host=["another.example"], path="/")]},
            first | {"pool": [web(servers), talkers, extra], "route": [*routes, route("extra", path="/extra")]},
            first,
            first,  # nothing changes
            first | {"pool": [web([front_server(fronts[0], weight=50), *servers[1:]]), talkers]},
            first | {"pool": [web([*servers, front_server(spare)]), talkers], "timeouts": {"server": "59s"}}]


class Operator:
    """Who does all that, on a connection to the control socket of whichever palier has it; keeps count."""

    def __init__(self, palier: Palier, fronts: list[WebFront], configs: list[dict]):
        self.reloads = self.cycles = self.upgrades = 0
        self.late_visits: list[str] = []
        self.pids = [palier.pid]
        self._palier, self._fronts = palier, fronts
        started_with = {key: configs[0][key] for key in ("control_socket", "state_file")}
        texts = [to_toml(config | started_with) for config in configs]
        self._texts = itertools.cycle([*texts[1:], texts[0]])
        self._texts_with_same_servers = itertools.cycle(texts[:3])
        self._control = palier.control(timeout=60)

    def close(self) -> None:
        self._control.close()

    def reload(self, same_servers: bool = False) -> None:
        self._palier.config_path.write_text(next(self._texts_with_same_servers if same_servers else self._texts))
        self._control.do("reload")
        self.reloads += 1

    def take_out_and_put_back(self, number: int) -> None:
        """Until it is put back, no request begins at the front, by its own log."""
        front = self._fronts[number]
        known = [one.log_size() for one in self._fronts]
        reply = self._control.do(f"drain web/{front.name} wait={duration(10)}")
        drained = time.time() + 0.002  # nginx's clock moves by milliseconds
        assert reply["drained"] is True, reply

        def visits() -> list[list[float]]:
            return [[at - drained for at in one.visits(size) if at > drained] for one, size in zip(self._fronts, known)]

        wait_for(lambda: all(len(times) >= SEEN_AFTER_DRAIN for i, times in enumerate(visits()) if i != number),
                 "requests to the other fronts")
        enabled = time.time() - drained
        self._control.do(f"enable web/{front.name}")
        self.late_visits += [f"{front.name}: {at:.3f} s after the reply" for at in visits()[number] if at < enabled]
        self.cycles += 1

    def take_out_talker(self, number: int) -> None:
        """Its tunnels stay."""
        assert self._control.do(f"drain chat/chat{number}")["admin"] == "drained"
        self._control.do(f"enable chat/chat{number}")

    def upgrade(self) -> None:
        self._control.do("upgrade")
        self._control.close()
        self._control = self._palier.control(timeout=60)
        self.pids.append(self._control.do("status")["pid"])
        self.upgrades += 1
        assert len(set(self.pids)) == self.upgrades + 1, self.pids

    def roll_out(self, hook: str) -> dict:
        """The last line of its answer. A reload at each event."""
        self.reload(same_servers=True)
        with self._palier.control(timeout=60) as control:
            control.send(f'rollout web run="{hook} {{server}}" warm="/page" soak={duration(0.3)} wait={duration(20)}')
            line = control.read_line()
            while not line.get("done"):
                self.reload(same_servers=True)
                line = control.read_line()
            return line


@pytest.fixture
def fronts(web_front) -> list[WebFront]:
    return [web_front(name, log=True) for name in ("one", "two", "three")]


@pytest.fixture
def chat() -> Iterator[list[str]]:
    with websocket_server(websocket_echo) as one, websocket_server(websocket_echo) as two:
        yield [one, two]


def is_there(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


@pytest.fixture
def configs(fronts, web_front, chat) -> list[dict]:
    return configurations(fronts, web_front("spare"), chat)


@pytest.fixture
def palier(start_palier, configs) -> Palier:
    """The first one, whose files the later ones go on with."""
    return start_palier(configs[0])


@pytest.fixture
def operator(palier, fronts, configs) -> Iterator[Operator]:
    """Ends whatever palier is there then."""
    made = Operator(palier, fronts, configs)
    yield made
    made.close()
    palier.stopped_by_test = True
    for pid in filter(is_there, made.pids):
        os.kill(pid, signal.SIGTERM)
    for pid in made.pids:
        wait_for(lambda pid=pid: not is_there(pid), f"the end of palier {pid}")


@pytest.fixture
def show(request) -> Callable[[list[str]], None]:
    """Prints lines, whether pytest captures or not."""
    def write(lines: list[str]) -> None:
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print("", "", *lines, sep="\n")

    return write


def test_no_request_fails(fronts, operator, palier, tmp_path, show):
    with (Restarter(fronts, tmp_path) as restarter, Tunnels(f"ws://127.0.0.1:{palier.port}/chat", 8) as tunnels,
          Wrk(f"{palier.url}/page", paced=True, longest=300) as wrk, SteadyH2(palier.port, "/page") as h2,
          Passersby(palier.port, "/page") as passersby):
        with SteadyH2load(f"{palier.url}/page") as h2load:
            for cycle in range(CYCLES):
                for _ in range(RELOADS // CYCLES):
                    operator.reload()
                operator.take_out_and_put_back(cycle % 3)
                operator.take_out_talker(cycle % 2)
                if cycle == CYCLES // 2:
                    rollout = operator.roll_out(restarter.command)
            h2load.stop()
        for _ in range(UPGRADES):
            operator.upgrade()
            operator.reload()
            tunnels.open(1)
        visitors = wrk.stop()
        for load in (passersby, h2, tunnels):
            load.stop()

    show(["| who | requests or messages | failures |", "|---|---|---|",
          f"| wrk, HTTP/1.1 | {visitors.requests} | {visitors.failures} |",
          f"| h2load, HTTP/2 | {h2load.requests} | {h2load.failures} |",
          f"| {h2.connections} HTTP/2 connections, one after another where told to go | {h2.requests} | "
          f"{len(h2.failures)} |",
          f"| a connection for each request, HTTP/1.1 | {passersby.requests} | {passersby.failures} |",
          f"| {tunnels.count} WebSockets | {tunnels.exchanges} | {len(tunnels.failures)} |", "",
          f"meanwhile {operator.reloads} reloads, {operator.upgrades} upgrades, {operator.cycles} times drained and "
          f"enabled, fronts restarted by a roll-out: {', '.join(restarter.restarted)}; {h2.moved} HTTP/2 requests were "
          "told to go elsewhere before they were looked at"])
    assert visitors.failures == 0, visitors.text
    assert h2load.failures == 0, h2load.texts
    assert passersby.failures == 0, passersby.statuses
    assert not h2.failures and not tunnels.failures, (h2.failures, tunnels.failures)
    assert not operator.late_visits, operator.late_visits
    assert rollout["ok"] and restarter.restarted == [front.name for front in fronts], rollout
    # Not even in a way that another try has mended.
    mended = [line for line in palier.access_text().splitlines() if '"tries":1,' not in line or '"status":5' in line]
    assert not mended, mended[:20]
    assert operator.reloads >= RELOADS + UPGRADES and operator.upgrades == UPGRADES and operator.cycles == CYCLES
    assert min(visitors.requests, h2load.requests, h2.requests, passersby.requests, tunnels.exchanges) > 100
    # Nothing holds a palier back that was replaced.
    for pid in operator.pids[:-1]:
        wait_for(lambda pid=pid: not is_there(pid), f"the end of palier {pid}, which was replaced")
