"""bench/compare: what changed beyond noise between two results."""

import argparse
import statistics
import sys
from dataclasses import dataclass

from . import results
from .results import BadResult, Row

_LEAST = 0.02  # smaller changes mean nothing, however steady the rounds are
_ENOUGH_ROUNDS = 5
_RATIO = "palier/best"

_ABOUT = """\
Shows what changed between two results of bench/run --json: for each row and program the medians, the change in per
cent, and "better" or "worse" where it is beyond noise: all rounds of the one file lie on the same side of all rounds
of the other, and the medians are at least 2 % apart. With five rounds each, chance alone does that in one of 126
comparisons; with three in one of 10, with two in one of 3. palier/best is palier's number by that of the best peer,
round by round: both were measured in one run, so that the machine's mood is not in it. Where only palier changed,
trust it more than the numbers themselves.
"""


@dataclass(frozen=True)
class Change:
    """Of medians. `part`: by how much, None where there is nothing to divide by. `beyond`: noise."""
    before: float
    after: float
    part: float | None
    beyond: bool

    @property
    def verdict(self) -> str:
        if not self.beyond:
            return ""
        return "better" if self.after < self.before else "worse"


def judge(before: list[float], after: list[float]) -> Change:
    """Of two programs' rounds, neither empty. One round has no spread, so that nothing is beyond it."""
    first, second = statistics.median(before), statistics.median(after)
    part = (second - first) / first if first else None
    apart = max(before) < min(after) or max(after) < min(before)
    known = min(len(before), len(after)) > 1
    return Change(first, second, part, known and apart and part is not None and abs(part) >= _LEAST)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/compare", description=_ABOUT,
                                     epilog="Exit code 2 when a file is no result that can be compared, else 0.")
    parser.add_argument("before", metavar="A.json")
    parser.add_argument("after", metavar="B.json")
    parser.add_argument("--changed", action="store_true", help="only what is beyond noise")
    arguments = parser.parse_args()
    try:
        documents = [results.load(path) for path in (arguments.before, arguments.after)]
        tables = [{row.key: row for row in results.rows(document, path)}
                  for document, path in zip(documents, (arguments.before, arguments.after))]
        both = [key for key in tables[0] if key in tables[1]]
        if not both:
            raise BadResult(f"{arguments.before} and {arguments.after} have no row in common")
    except BadResult as bad:
        print(f"bench/compare: {bad}", file=sys.stderr)
        return 2
    _print_headings(arguments, documents)
    changes = {key: _print_row(tables[0][key], tables[1][key], arguments.changed) for key in both}
    for letter, mine, other in (("A", *tables), ("B", *reversed(tables))):
        if only := [key for key in mine if key not in other]:
            print(f"\nonly in {letter}: {', '.join(only)}")
    _print_summary(changes)
    return 0


def _print_headings(arguments: argparse.Namespace, documents: list[dict]) -> None:
    for letter, path, document in zip("AB", (arguments.before, arguments.after), documents):
        commit = f", commit {document['commit']}" if document.get("commit") else ""
        print(f"{letter}: {path}{commit}, {document.get('cpu')}, {document.get('rounds')} rounds "
              f"of {document.get('seconds')} s")
    first, second = documents
    if first.get("cpu") != second.get("cpu"):
        print("Two machines: only palier/best says anything.")
    for name, version in first["versions"].items():
        if name != "palier" and second["versions"].get(name, version) != version:
            print(f"{name} is another: {version}, then {second['versions'][name]}")
    if first.get("seconds") != second.get("seconds"):
        print("The rounds are of different lengths.")
    if any(int(document.get("rounds") or 0) < _ENOUGH_ROUNDS for document in documents):
        print(f"Fewer than {_ENOUGH_ROUNDS} rounds: some of what is called better or worse is chance.")


def _print_row(before: Row, after: Row, only_changed: bool) -> dict[str, Change]:
    pairs = {name: (before.rounds[name], after.rounds[name]) for name in before.rounds if after.rounds.get(name)}
    pairs[_RATIO] = (before.ratios(), after.ratios())
    changes = {name: judge(*pair) for name, pair in pairs.items() if all(pair)}
    shown = {name: change for name, change in changes.items() if change.beyond or not only_changed}
    if shown:
        print(f"\n{after.key}: {after.title}, {after.unit}")
        if before.title != after.title:  # a rate, for example, that each run finds out by itself
            print(f"  not quite the same in A: {before.title}")
    for name, change in shown.items():
        print(f"  {name:12}{_number(change.before):>12}{_number(change.after):>12}{_per_cent(change.part):>10}"
              f"  {change.verdict}".rstrip())
    return changes


def _print_summary(changes: dict[str, dict[str, Change]]) -> None:
    print()
    for name in ("palier", _RATIO):
        of_name = {key: row[name] for key, row in changes.items() if name in row}
        for verdict in ("better", "worse"):
            found = [f"{key} {_per_cent(change.part)}" for key, change in of_name.items() if change.verdict == verdict]
            print(f"{name} {verdict}: {', '.join(found) if found else 'nowhere'}")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3f}" if abs(value) < 10 else f"{value:,.2f}"


def _per_cent(part: float | None) -> str:
    return "-" if part is None else f"{part:+.1%}"
