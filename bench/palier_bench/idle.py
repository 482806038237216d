"""Memory per idle connection: connections that made one request each and stay open."""

import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from . import requests
from .crowd import most_connections, open_connections
from .failure import Failure
from .loads import Wrk
from .machine import Cpus
from .peers import Peer
from .process import Process
from .protocol import Protocol
from .scenario import Scenario
from .stage import Stage

_WARM = 1000  # connections before the first look, so that pools and arenas of a start do not count


@dataclass(frozen=True)
class Idle:
    """`most`: connections, where the machine has descriptors enough."""
    name: str
    title: str
    protocol: Protocol
    most: int

    @property
    def scenario(self) -> Scenario:
        """For a stage; nobody runs its load."""
        return Scenario(self.name, self.title, Wrk(1, (requests.get("/128"),), 128, self.protocol), floor=False)

    def connections(self, descriptors: int) -> int:
        return min(self.most, most_connections(descriptors))


IDLES = [
    Idle("idle-memory", "memory per idle keep-alive connection", Protocol.HTTP, 10_000),
    Idle("tls-idle-memory", "memory per idle TLS 1.3 connection", Protocol.HTTPS, 3000),
    Idle("h2-idle-memory", "memory per idle HTTP/2 connection", Protocol.HTTP2, 3000),
]


@dataclass
class IdleResult:
    """Bytes per connection, in each round too, and all private bytes of the proxy with `connections` of them."""
    title: str
    connections: int
    per_connection: dict[str, float] = field(default_factory=dict)
    private: dict[str, int] = field(default_factory=dict)
    samples: dict[str, list[float]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def measure_idle(idle: Idle, peers: list[Peer], cpus: Cpus, rounds: int, descriptors: int,
                 directory: Path) -> IdleResult:
    result = IdleResult(idle.title, idle.connections(descriptors))
    if result.connections < 2 * _WARM:
        result.problems["all"] = f"{descriptors} descriptors are too few"
        return result
    per_connection: dict[str, list[float]] = {}
    private: dict[str, list[int]] = {}
    for _ in range(rounds):
        for peer in peers:
            if not peer.serves(idle.scenario) or peer.name in result.problems:
                continue
            with Stage(idle.scenario, [peer], cpus, directory) as stage:
                result.problems.update(stage.problems)
                if stage.problems:
                    continue
                try:
                    each, total = _one_visit(idle, stage.processes[peer.name], stage.ports[peer.name],
                                             result.connections)
                except (Failure, OSError) as failure:
                    result.problems[peer.name] = str(failure)
                    continue
                per_connection.setdefault(peer.name, []).append(each)
                private.setdefault(peer.name, []).append(total)
    for name in [name for name in per_connection if name not in result.problems]:
        result.samples[name] = per_connection[name]
        result.per_connection[name] = statistics.median(per_connection[name])
        result.private[name] = round(statistics.median(private[name]))
    return result


def _one_visit(idle: Idle, process: Process, port: int, connections: int) -> tuple[float, int]:
    with ExitStack() as open_ones:
        clients = open_connections(open_ones, idle.scenario, port, _WARM)
        before = _settled(process)
        clients += open_connections(open_ones, idle.scenario, port, connections - _WARM)
        after = _settled(process)
        for client in clients[:: connections // 100]:  # still open, and still served
            client.check_answer(idle.scenario.load.requests[0], idle.scenario.expected_body)
    return (after - before) / (connections - _WARM), after


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
