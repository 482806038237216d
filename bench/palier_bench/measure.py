"""Rounds: peers are visited in turn, each visit is one sample, and a scenario's result is the median."""

import statistics
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from .failure import Failure
from .machine import Cpus
from .peers import Peer
from .scenario import Scenario
from .stage import Stage


@dataclass(frozen=True)
class Sample:
    """CPU time in microseconds per request, latency in milliseconds; `busy` is the share of its CPU that it used,
    `late` the load generator's own part of p99."""
    user: float
    system: float
    total: float
    rate: float
    busy: float
    p50: float | None
    p99: float | None
    p999: float | None = None
    late: float | None = None


@dataclass
class Result:
    scenario: Scenario
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def median(self, peer: str) -> Sample | None:
        samples = self.samples.get(peer)
        if not samples:
            return None
        columns = [asdict(sample) for sample in samples]
        median = Sample(**{key: _median([column[key] for column in columns]) for key in columns[0]})
        # The ticks of one visit are few, so that user and system are divided by those of all rounds.
        user = median.total * sum(s.user for s in samples) / sum(s.total for s in samples)
        return replace(median, user=user, system=median.total - user)


def _median(values: list[float | None]) -> float | None:
    """None where the load generator does not tell."""
    return None if None in values else statistics.median(values)


@dataclass(frozen=True)
class Effort:
    rounds: int
    seconds: int


def measure(scenarios: list[Scenario], peers: list[Peer], cpus: Cpus, effort: Effort,
            directory: Path) -> list[Result]:
    """Several scenarios share their rounds: what the machine does meanwhile then disturbs all of them alike."""
    results = [Result(scenario) for scenario in scenarios]
    with ExitStack() as open_stages:
        stages = []
        for result in results:
            able = [peer for peer in peers if peer.serves(result.scenario)]
            stages.append(open_stages.enter_context(Stage(result.scenario, able, cpus, directory)))
            result.problems.update(stages[-1].problems)
        for number in range(-1, effort.rounds):
            for result, stage in zip(results, stages):
                _round(result, stage, number, effort.seconds, directory)
        for result, stage in zip(results, stages):
            for name in list(stage.ports):
                _attempt(result, stage, name, lambda: stage.check(name))
    return results


def _round(result: Result, stage: Stage, number: int, seconds: int, directory: Path) -> None:
    """Visits each peer once, beginning with another one each time. Round -1 is the warm-up, of a second."""
    names = list(stage.ports)
    turn = max(number, 0) % len(names) if names else 0
    for name in names[turn:] + names[:turn]:
        if number < 0:
            _attempt(result, stage, name, lambda: result.scenario.load.run(stage.ports[name], 1, directory))
        else:
            _attempt(result, stage, name, lambda: result.samples.setdefault(name, []).append(
                _sample(stage, name, result.scenario, seconds, directory)))


def _attempt(result: Result, stage: Stage, name: str, action) -> None:
    """A peer that fails is out of this scenario; the others go on."""
    try:
        action()
    except Failure as failure:
        result.problems[name] = str(failure)
        result.samples.pop(name, None)
        del stage.ports[name]


def _sample(stage: Stage, name: str, scenario: Scenario, seconds: int, directory: Path) -> Sample:
    process = stage.processes[name]
    if not process.running():
        raise Failure("it has exited")
    before = process.cpu_time()
    count = scenario.load.run(stage.ports[name], seconds, directory)
    used = process.cpu_time().since(before)
    total = used.total * 1e6 / count.answers
    user = total * used.user_share
    return Sample(user, total - user, total, count.answers / count.seconds, used.total / count.seconds, count.p50,
                  count.p99, count.p999, count.late)
