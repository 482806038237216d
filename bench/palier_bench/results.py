"""A run's results as bench/run --json wrote them: rows of one number each, with every program's rounds."""

import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FORMAT = 2  # of the file; one more whenever a reader of the old one would misread the new one
OURS = ("palier", "floor")  # not among the peers that the best is chosen from
MICROSECONDS, MILLISECONDS, BYTES, MEBIBYTES, PER_CENT = "µs", "ms", "bytes", "MiB", "% of a CPU"


class BadResult(Exception):
    """A file that is no result, or one that this version does not read. Its words are for the user."""


@dataclass(frozen=True)
class Row:
    """Of all numbers less is better. `rounds`: by program. `key` tells the row among those of a run."""
    section: str
    key: str
    title: str
    unit: str
    rounds: dict[str, list[float]]
    charted: bool = True

    def median(self, program: str) -> float | None:
        return statistics.median(self.rounds[program]) if self.rounds.get(program) else None

    def best_peer(self) -> str | None:
        peers = [name for name in self.rounds if name not in OURS and self.rounds[name]]
        return min(peers, key=lambda name: statistics.median(self.rounds[name]), default=None)

    def ratio(self, reference: str | None) -> float | None:
        """palier's number by that of another: the median of ratios()."""
        return median_ratio(self.rounds.get("palier", []), self.rounds.get(reference, []) if reference else [])

    def ratios(self) -> list[float]:
        """palier's number by the best peer's, round by round."""
        best = self.best_peer()
        return ratios(self.rounds.get("palier", []), self.rounds[best] if best else [])


def ratios(ours: list[float], theirs: list[float]) -> list[float]:
    """Round by round: what slows the machine down for a while slows both, and is not in it."""
    return [our / their for our, their in zip(ours, theirs) if their]


def median_ratio(ours: list[float], theirs: list[float]) -> float | None:
    found = ratios(ours, theirs)
    return statistics.median(found) if found else None


def load(path: str) -> dict:
    try:
        document = json.loads(Path(path).read_text())
    except OSError as error:
        raise BadResult(f"{path}: {error.strerror}") from error
    except ValueError as error:  # of JSON, or of UTF-8
        raise BadResult(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict) or "versions" not in document:
        raise BadResult(f"{path} is not a result of bench/run --json")
    found = document.get("format", 1)
    if found != FORMAT:
        raise BadResult(f"{path} has format {found}, and this reads format {FORMAT}: measure that commit again")
    return document


def rows(document: dict, path: str = "the result") -> list[Row]:
    try:
        return [row for row in _rows(document) if any(row.rounds.values())]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise BadResult(f"{path} is damaged: {error!r}") from error


def _rows(document: dict) -> Iterator[Row]:
    for name, scenario in document["scenarios"].items():
        yield Row("CPU time per request", name, scenario["title"], MICROSECONDS, _of_samples(scenario, "total"))
    for name, latency in document["latency"].items():
        for member, percentile in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9")):
            title = f"{percentile} at {latency['rate']:,}/s, {latency['title']}"
            yield Row("Latency at half load", f"{name} {percentile}", title, MILLISECONDS,
                      _of_samples(latency, member), charted=member == "p99")
    for name, growth in document["growth"].items():
        for count, step in growth["steps"].items():
            yield Row("CPU time per request as sites grow", f"{name} {count}", f"{int(count):,} {growth['title']}",
                      MICROSECONDS, _of_samples(step, "total"), charted=count == list(growth["steps"])[-1])
    for name, idle in document["idle"].items():
        yield Row("Memory per idle connection", name, f"{idle['title']}, of {idle['connections']:,}", BYTES,
                  _numbers(idle["samples"]))
    yield from _startup_rows(document.get("certificates"))
    for kind, shares in _numbers((document.get("probes") or {"samples": {}})["samples"]).items():
        yield Row("Probes", f"probes {kind}", f"2,000 servers probed every two seconds: {kind}", PER_CENT,
                  {"palier": [share * 100 for share in shares]})


def _startup_rows(startup: dict | None) -> Iterator[Row]:
    columns = (("ready", "ready after", MILLISECONDS, 1e3), ("resident", "resident", MEBIBYTES, 1 / 2**20),
               ("first", "a name's first handshake", MILLISECONDS, 1e3),
               ("later", "its second handshake", MILLISECONDS, 1e3))
    for count, programs in (startup["samples"] if startup else {}).items():
        for member, title, unit, factor in columns:
            rounds = {name: [float(start[member]) * factor for start in starts if start[member] is not None]
                      for name, starts in programs.items()}
            yield Row("Certificates", f"certificates {count} {member}", f"{int(count) + 1:,} certificates: {title}",
                      unit, rounds, charted=count == "10000" and member in ("ready", "resident"))


def _of_samples(result: dict, member: str) -> dict[str, list[float]]:
    return _numbers({name: [sample[member] for sample in program["samples"]]
                     for name, program in result["peers"].items()})


def _numbers(programs: dict) -> dict[str, list[float]]:
    return {name: [float(value) for value in values] for name, values in programs.items()}
