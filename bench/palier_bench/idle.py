"""Memory per idle keep-alive connection: connections that made one request each and stay open."""

import socket
import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from . import requests
from .exchange import check_answer, connect
from .failure import Failure
from .load import Load
from .machine import Cpus
from .peers import Peer
from .process import Process
from .scenario import Scenario
from .stage import Stage

NAME = "idle-memory"
_WARM = 1000  # connections before the first look, so that pools and arenas of a start do not count
_SOURCES = 50
_SCENARIO = Scenario(NAME, "memory per idle keep-alive connection", Load(1, (requests.get("/128"),), 128), floor=False)


@dataclass
class IdleResult:
    """Bytes per connection, and all private bytes of the proxy with `connections` of them."""
    connections: int
    per_connection: dict[str, float] = field(default_factory=dict)
    private: dict[str, int] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def connections_for(descriptors: int) -> int:
    """As many as all can hold: HAProxy keeps two descriptors for each connection that it may have."""
    return min(10_000, descriptors // 2 - 1500)


def measure_idle(peers: list[Peer], cpus: Cpus, rounds: int, descriptors: int, directory: Path) -> IdleResult:
    result = IdleResult(connections_for(descriptors))
    if result.connections < 2 * _WARM:
        result.problems["all"] = f"{descriptors} descriptors are too few"
        return result
    per_connection: dict[str, list[float]] = {}
    private: dict[str, list[int]] = {}
    for _ in range(rounds):
        for peer in peers:
            if peer.name == "floor" or peer.name in result.problems:
                continue
            with Stage(_SCENARIO, [peer], cpus, directory) as stage:
                result.problems.update(stage.problems)
                if stage.problems:
                    continue
                try:
                    each, total = _one_visit(stage.processes[peer.name], stage.ports[peer.name], result.connections)
                except (Failure, OSError) as failure:
                    result.problems[peer.name] = str(failure)
                    continue
                per_connection.setdefault(peer.name, []).append(each)
                private.setdefault(peer.name, []).append(total)
    for name in [name for name in per_connection if name not in result.problems]:
        result.per_connection[name] = statistics.median(per_connection[name])
        result.private[name] = round(statistics.median(private[name]))
    return result


def _one_visit(process: Process, port: int, connections: int) -> tuple[float, int]:
    with ExitStack() as open_ones:
        clients = _open(open_ones, port, _WARM)
        before = _settled(process)
        clients += _open(open_ones, port, connections - _WARM)
        after = _settled(process)
        for client in clients[:: connections // 100]:  # still open, and still served
            check_answer(client, _SCENARIO.load.requests[0], _SCENARIO.expected_body)
    return (after - before) / (connections - _WARM), after


def _open(open_ones: ExitStack, port: int, count: int) -> list[socket.socket]:
    clients = []
    for i in range(count):
        client = open_ones.enter_context(connect(port, f"127.0.0.{1 + i % _SOURCES}"))
        check_answer(client, _SCENARIO.load.requests[0], _SCENARIO.expected_body)
        clients.append(client)
    return clients


def _settled(process: Process) -> int:
    """Its private memory, once two looks agree."""
    deadline = time.monotonic() + 10
    last = process.private_bytes()
    while time.monotonic() < deadline:
        time.sleep(0.2)
        now = process.private_bytes()
        if now == last:
            break
        last = now
    return last
