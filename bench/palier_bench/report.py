"""The tables that people read, and the same as JSON."""

from dataclasses import asdict

from . import probes
from .idle import IdleResult
from .latency import LatencyResult
from .measure import Result
from .results import OURS, Row, median_ratio
from .scenario import FLOOR_GOAL, GOAL, Growth
from .startup import StartupResult


def best_of(costs: dict[str, float]) -> str | None:
    """The cheapest peer."""
    return min((name for name in costs if name not in OURS), key=costs.__getitem__, default=None)


def print_result(result: Result) -> None:
    print(f"\n{result.scenario.title}")
    print(f"  {'':10}{'user µs':>10}{'system':>10}{'total':>10}{'/best peer':>12}{'/floor':>9}{'requests/s':>13}"
          f"{'p99 ms':>10}{'CPU':>7}")
    medians = {name: result.median(name) for name in result.samples}
    rounds = {name: [sample.total for sample in samples] for name, samples in result.samples.items()}
    fastest = rounds.get(best_of({name: median.total for name, median in medians.items()}), [])
    floor = rounds.get("floor", [])
    for name, m in medians.items():
        print(f"  {name:10}{m.user:10,.2f}{m.system:10,.2f}{m.total:10,.2f}{_by_rounds(rounds[name], fastest):>12}"
              f"{_by_rounds(rounds[name], floor):>9}{m.rate:13,.0f}{_number(m.p99, 2):>10}{m.busy:7.0%}")
    goals = [f"at most {goal:.2f} of the {name}: {_by_rounds(rounds['palier'], reference)}"
             for goal, name, reference in ((GOAL, "best peer", fastest), (FLOOR_GOAL, "floor", floor))
             if reference and "palier" in rounds]
    if goals:
        print("  goal: " + "; ".join(goals))
    _print_problems(result.problems)


def print_latency(latency: LatencyResult) -> None:
    result = latency.result
    print(f"\nlatency at half load: {result.scenario.title}")
    if latency.full:
        full = ", ".join(f"{name} {rate:,.0f}" for name, rate in latency.full.items())
        print(f"  {latency.rate:,} requests/s, half of what the slowest can serve: {full}")
    print(f"  {'':10}{'p50 ms':>10}{'p99':>10}{'p99.9':>10}{'p99 /best peer':>16}{'total µs':>11}{'CPU':>7}"
          f"{'late p99 ms':>13}")
    medians = {name: result.median(name) for name in result.samples}
    rounds = {name: [sample.p99 for sample in samples] for name, samples in result.samples.items()}
    fastest = rounds.get(best_of({name: median.p99 for name, median in medians.items()}), [])
    for name, m in medians.items():
        print(f"  {name:10}{m.p50:10.3f}{m.p99:10.3f}{m.p999:10.3f}{_by_rounds(rounds[name], fastest):>16}"
              f"{m.total:11.2f}{m.busy:7.0%}{m.late:13.3f}")
    _print_problems(result.problems)


def print_idle(result: IdleResult) -> None:
    print(f"\n{result.title}, {result.connections} connections")
    print(f"  {'':10}{'bytes each':>12}{'/best peer':>12}{'private MiB':>13}")
    best = result.per_connection.get(best_of(result.per_connection))
    for name in result.per_connection:
        each = result.per_connection[name]
        print(f"  {name:10}{each:12,.0f}{_ratio(each, best):>12}{result.private[name] / 2**20:13.1f}")
    _print_problems(result.problems)


def print_startup(result: StartupResult) -> None:
    print("\ncertificates: from the start to the first handshake, memory, and handshakes by name")
    print(f"  {'':10}{'certificates':>13}{'ready ms':>11}{'resident MiB':>14}{'KiB each':>10}{'first ms':>10}"
          f"{'later ms':>10}")
    without = result.medians.get(0, {})
    for count, starts in result.medians.items():
        for name, start in starts.items():
            each = (start.resident - without[name].resident) / count / 1024 if count and name in without else None
            print(f"  {name:10}{count + 1:13,}{start.ready * 1e3:11,.0f}{start.resident / 2**20:14.1f}"
                  f"{_number(each, 2):>10}{_number(start.first, 2, 1e3):>10}{_number(start.later, 2, 1e3):>10}")
    _print_startup_goal(result)
    _print_problems(result.problems)


def _print_startup_goal(result: StartupResult) -> None:
    count = max(result.medians, default=0)
    start, without = result.medians.get(count, {}).get("palier"), result.medians.get(0, {}).get("palier")
    if start is None or without is None or start.first is None or start.later is None:
        return
    more, longer = (start.resident - without.resident) / 2**20, (start.first - start.later) * 1e3
    print(f"  goal: 50,000 ready in 2,000 ms, for 60 MiB, a name's first handshake at most 2 ms longer; "
          f"palier: {count:,} in {start.ready * 1e3:,.0f} ms, for {more:.1f} MiB, {longer:.2f} ms longer")


def print_probes(result: probes.ProbesResult) -> None:
    print(f"\nprobes: the thread that probes {probes.SERVERS:,} servers every {probes.INTERVAL} s, in per cent of a CPU")
    print(f"  {'':10}{'user':>10}{'system':>10}{'total':>10}")
    for kind, share in result.shares.items():
        user = share * result.user[kind]
        print(f"  {kind:10}{user * 100:10.2f}{(share - user) * 100:10.2f}{share * 100:10.2f}")
    if result.shares:
        print(f"  goal: {probes.GOAL:.0%}; palier: {max(result.shares.values()):.1%} at most")
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


def print_summary(rows: list[Row]) -> None:
    """palier beside its best peer, row by row, at the end of a run."""
    print(f"\n{'in short':52}{'palier':>12}{'best peer':>21}{'/best':>8}{'/floor':>8}")
    for row in rows:
        best = row.best_peer()
        if best is None or row.median("palier") is None:
            continue
        print(f"{f'{row.key}, {row.unit}':52}{row.median('palier'):12,.2f}{f'{best} {row.median(best):,.2f}':>21}"
              f"{row.ratio(best) or 0:8.2f}{_number(row.ratio('floor'), 2):>8}")


def _ratio(cost: float, reference: float | None) -> str:
    return f"{cost / reference:.2f}" if reference else "-"


def _by_rounds(costs: list[float], reference: list[float]) -> str:
    return _number(median_ratio(costs, reference), 2)


def _number(value: float | None, digits: int, factor: float = 1) -> str:
    return "-" if value is None else f"{value * factor:,.{digits}f}"


def _print_problems(problems: dict[str, str]) -> None:
    for name, problem in problems.items():
        print(f"  FAILED {name}: {problem}")


def result_as_json(result: Result) -> dict:
    """With every round's sample."""
    peers = {}
    for name in result.samples:
        median = result.median(name)
        peers[name] = {"median": asdict(median), "samples": [asdict(sample) for sample in result.samples[name]]}
    return {"title": result.scenario.title, "peers": peers, "problems": result.problems}


def latency_as_json(latency: LatencyResult) -> dict:
    return {"rate": latency.rate, "full": latency.full, **result_as_json(latency.result)}


def growth_as_json(growth: Growth, results: dict[int, Result]) -> dict:
    return {"title": growth.title, "steps": {str(count): result_as_json(result) for count, result in results.items()}}


def idle_as_json(result: IdleResult) -> dict:
    return asdict(result)


def probes_as_json(result: probes.ProbesResult) -> dict:
    return asdict(result)


def startup_as_json(result: StartupResult) -> dict:
    """Numbers of certificates become words, as JSON would have them."""
    every = asdict(result)
    return every | {part: {str(count): programs for count, programs in every[part].items()}
                    for part in ("medians", "samples")}
