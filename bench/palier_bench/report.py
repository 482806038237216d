"""The tables that people read, and the same as JSON."""

from dataclasses import asdict

from .idle import IdleResult
from .measure import Result
from .scenario import Growth

OURS = ("palier", "floor")  # not among the peers that the best is chosen from


def best_of(costs: dict[str, float]) -> float | None:
    return min((cost for name, cost in costs.items() if name not in OURS), default=None)


def print_result(result: Result) -> None:
    print(f"\n{result.scenario.title}")
    print(f"  {'':10}{'user µs':>10}{'system':>10}{'total':>10}{'/best peer':>12}{'/floor':>9}{'requests/s':>13}"
          f"{'p99 ms':>10}{'CPU':>7}")
    medians = {name: result.median(name) for name in result.samples}
    costs = {name: median.total for name, median in medians.items()}
    best, floor = best_of(costs), costs.get("floor")
    for name, m in medians.items():
        print(f"  {name:10}{m.user:10,.2f}{m.system:10,.2f}{m.total:10,.2f}{_ratio(m.total, best):>12}"
              f"{_ratio(m.total, floor):>9}{m.rate:13,.0f}{m.p99:10,.2f}{m.busy:7.0%}")
    _print_problems(result.problems)


def print_idle(result: IdleResult) -> None:
    print(f"\nmemory per idle keep-alive connection, {result.connections} connections")
    print(f"  {'':10}{'bytes each':>12}{'/best peer':>12}{'private MiB':>13}")
    best = best_of(result.per_connection)
    for name in result.per_connection:
        each = result.per_connection[name]
        print(f"  {name:10}{each:12,.0f}{_ratio(each, best):>12}{result.private[name] / 2**20:13.1f}")
    _print_problems(result.problems)


def print_growth(growth: Growth, results: dict[int, Result]) -> None:
    """CPU µs per request, how much more that is than on the smallest site, and the user part of it."""
    print(f"\ngrowth: CPU µs per request by {growth.title}")
    print(f"  {'':10}" + "".join(f"{count:>28,}" for count in results))
    names = dict.fromkeys(name for result in results.values() for name in result.samples)
    for name in names:
        medians = [result.median(name) for result in results.values()]
        first = medians[0].total if medians[0] else None
        cells = [f"{m.total:.2f} ({_ratio(m.total, first)}), user {m.user:.2f}" if m else "-" for m in medians]
        print(f"  {name:10}" + "".join(f"{cell:>28}" for cell in cells))
    for count, result in results.items():
        _print_problems({f"{name}, {count}": problem for name, problem in result.problems.items()})


def _ratio(cost: float, reference: float | None) -> str:
    return f"{cost / reference:.2f}" if reference else "-"


def _print_problems(problems: dict[str, str]) -> None:
    for name, problem in problems.items():
        print(f"  FAILED {name}: {problem}")


def result_as_json(result: Result) -> dict:
    peers = {}
    for name in result.samples:
        median = result.median(name)
        peers[name] = {"median": asdict(median), "samples": [asdict(sample) for sample in result.samples[name]]}
    return {"title": result.scenario.title, "peers": peers, "problems": result.problems}


def idle_as_json(result: IdleResult) -> dict:
    return asdict(result)
