"""Latency at half load: the same constant rate for all, half of what the slowest can serve."""

from dataclasses import dataclass, replace
from pathlib import Path

from . import requests
from .loads import H2Load, Load, Steady, Wrk
from .machine import Cpus
from .measure import Effort, Result, measure
from .peers import Peer
from .protocol import Protocol
from .scenario import Scenario

_SMALL = ((requests.get("/128"),), 128)
_ROUNDS_OF_FULL_LOAD = 3


@dataclass(frozen=True)
class Latency:
    """`full`: the load that finds out what each can serve; `steady`: the one that is timed."""
    name: str
    title: str
    full: Load
    steady: Steady

    @property
    def programs(self) -> list[str]:
        return [*self.full.programs, *self.steady.programs]

    def scenario_at_full(self) -> Scenario:
        return Scenario(f"{self.name}-full", self.title, self.full, floor=False)

    def scenario_at(self, rate: int) -> Scenario:
        return Scenario(self.name, self.title, replace(self.steady, rate=rate),
                        floor=not self.steady.protocol.secure)


LATENCIES = [
    Latency("latency", "keep-alive, 64 connections, 128 bytes", Wrk(64, *_SMALL), Steady(64, *_SMALL)),
    Latency("h2-latency", "HTTP/2, 16 connections × 32 streams, 128 bytes",
            H2Load(16, *_SMALL, Protocol.HTTP2, streams=32), Steady(16, *_SMALL, Protocol.HTTP2, streams=32)),
]


@dataclass
class LatencyResult:
    """`full`: requests a second that each served when it was asked for as many as it could."""
    result: Result
    full: dict[str, float]
    rate: int

    @property
    def problems(self) -> dict[str, str]:
        return self.result.problems


def measure_latency(latency: Latency, peers: list[Peer], cpus: Cpus, effort: Effort, directory: Path) -> LatencyResult:
    few = Effort(min(_ROUNDS_OF_FULL_LOAD, effort.rounds), effort.seconds)
    [found] = measure([latency.scenario_at_full()], peers, cpus, few, directory)
    full = {name: found.median(name).rate for name in found.samples}
    if not full:
        found.problems.setdefault("all", "nobody's full load is known")
        return LatencyResult(found, full, 0)
    rate = half_of_slowest(full)
    able = [peer for peer in peers if peer.name not in found.problems]
    [result] = measure([latency.scenario_at(rate)], able, cpus, effort, directory)
    result.problems.update(found.problems)
    return LatencyResult(result, full, rate)


def half_of_slowest(full: dict[str, float]) -> int:
    """In whole hundreds a second."""
    return max(100, round(min(full.values()) / 200) * 100)
