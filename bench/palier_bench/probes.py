"""Many servers under probes: what the thread that probes them costs, while there is no other work."""

import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import requests
from .exchange import Client
from .failure import Failure
from .machine import Cpus
from .peers import Peer
from .ports import free_port, listens
from .process import CpuTime, Process
from .protocol import Protocol
from .site import Site
from .stage import start_backend, tail

NAME = "probes"
SERVERS = 2_000
INTERVAL = 2  # seconds
GOAL = 0.05   # of one CPU
_RHYTHM = f'interval = "{INTERVAL}s"\ntimeout = "1s"\n'
KINDS = {
    "http": _RHYTHM + 'path = "/128"\n',
    "http, kept": _RHYTHM + 'path = "/128"\nkeep_alive = true\n',
    "tcp": _RHYTHM + 'type = "tcp"\n',
}
_SAMPLE_SECONDS = 5 * INTERVAL
_SETTLE_SECONDS = 3 * INTERVAL  # until every server is in its rhythm
_START_SECONDS = 30


@dataclass
class ProbesResult:
    """By kind of probe: the shares of one CPU that the control thread took, in each round too, and how much of that was
    user time."""
    shares: dict[str, float] = field(default_factory=dict)
    user: dict[str, float] = field(default_factory=dict)
    samples: dict[str, list[float]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def measure_probes(palier: Peer, cpus: Cpus, rounds: int, directory: Path) -> ProbesResult:
    result = ProbesResult()
    backend, port = start_backend(cpus, directory, SERVERS)
    try:
        for kind, health in KINDS.items():
            where = directory / f"{NAME}-{len(result.shares)}"
            where.mkdir()
            try:
                samples = _samples(palier, Site(port, SERVERS, health=health), cpus, rounds, where)
            except (Failure, OSError) as failure:
                result.problems[kind] = str(failure)
                continue
            result.samples[kind] = [time_.total / _SAMPLE_SECONDS for time_ in samples]
            result.shares[kind] = statistics.median(result.samples[kind])
            result.user[kind] = statistics.median(time_.user_share for time_ in samples)
    finally:
        backend.stop()
    return result


def _samples(palier: Peer, site: Site, cpus: Cpus, rounds: int, where: Path) -> list[CpuTime]:
    port = free_port()
    process = Process(palier.command(site, port, where), cpus.proxy, where / "log")
    try:
        _wait_until_served(process, port)
        time.sleep(_SETTLE_SECONDS)
        samples = []
        for _ in range(rounds):
            before = process.first_thread_time()
            time.sleep(_SAMPLE_SECONDS)
            samples.append(process.first_thread_time().since(before))
        # A server that went down would have been logged.
        if not process.running() or process.output():
            raise Failure(f"not all is well{tail(process)}")
        return samples
    finally:
        process.stop()


def _wait_until_served(process: Process, port: int) -> None:
    """Servers are used once a probe of them has succeeded."""
    deadline = time.monotonic() + _START_SECONDS
    while not listens(port):
        if not process.running() or time.monotonic() > deadline:
            raise Failure(f"did not start{tail(process)}")
        time.sleep(0.01)
    with Client(Protocol.HTTP, port) as client:
        client.check_answer(requests.get("/128"), requests.expected_body(128))
