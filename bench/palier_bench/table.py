"""bench/table: the current table in bench/README.md, and the chart beside it, from one result."""

import argparse
import sys
from itertools import groupby

from . import results
from .chart import draw
from .machine import ROOT
from .results import BadResult, Row

README = ROOT / "bench" / "README.md"
CHART = ROOT / "bench" / "ratios.svg"
BEGIN, END = "<!-- bench/table writes from here -->", "<!-- to here -->"
_PROGRAMS = ("floor", "nginx", "haproxy", "nghttpx", "h2o", "palier")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/table", description="Writes the table of bench/README.md, and its "
                                     "chart bench/ratios.svg, from a result of bench/run --json.",
                                     epilog="Exit code 2 when the file is no such result.")
    parser.add_argument("result", metavar="RESULT.json")
    arguments = parser.parse_args()
    try:
        write(results.load(arguments.result), arguments.result)
    except BadResult as bad:
        print(f"bench/table: {bad}", file=sys.stderr)
        return 2
    return 0


def write(document: dict, path: str = "the result") -> None:
    rows = results.rows(document, path)
    if not any(row.ratio(row.best_peer()) for row in rows):
        raise BadResult(f"{path} has no row with both palier and a peer")
    text = replaced(README.read_text(), render(document, rows))
    CHART.write_text(draw(rows))
    README.write_text(text)
    print(f"written: {README.relative_to(ROOT)}, {CHART.relative_to(ROOT)}")


def replaced(text: str, table: str) -> str:
    """The text with another table between the two marks."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise BadResult(f"bench/README.md must have once \"{BEGIN}\", and once after it \"{END}\"")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table}{END}{rest.split(END)[1]}"


def render(document: dict, rows: list[Row]) -> str:
    """As Markdown. The best peer's number is set in italics, palier's ratio to it in bold."""
    names = [name for name in _PROGRAMS if any(row.rounds.get(name) for row in rows)]
    versions = ", ".join(f"{name} {document['versions'][name].removeprefix(name).strip()}" for name in names
                         if name != "floor" and name in document["versions"])
    commit = f" at {document['commit']}" if document.get("commit") else ""
    lines = ["", f"![palier's cost divided by the best peer's, row by row]({CHART.name})", "",
             f"{document['cpu']}; {versions}{commit}; medians of {document['rounds']} rounds of "
             f"{document['seconds']} s (memory, certificates and probes: of at most 3). Less is better everywhere.", ""]
    for section, members in groupby(rows, lambda row: row.section):
        some = list(members)
        columns = [name for name in names if any(row.rounds.get(name) for row in some)]
        lines += _section(section, some, columns)
    if failed := _problems(document):
        lines += ["Not measured: " + "; ".join(failed) + ".", ""]
    return "\n".join(lines) + "\n"


def _section(section: str, rows: list[Row], columns: list[str]) -> list[str]:
    units = {row.unit for row in rows}
    unit = f", {units.pop()}" if len(units) == 1 else ""
    ratios = [name for name, reference in (("/best peer", any(row.best_peer() for row in rows)),
                                           ("/floor", "floor" in columns)) if reference]
    lines = [f"| {section}{unit} | " + " | ".join([*columns, *ratios]) + " |",
             "|---|" + "---:|" * (len(columns) + len(ratios))]
    for row in rows:
        best = row.best_peer()
        title = row.title if unit else f"{row.title}, {row.unit}"
        cells = [_cell(row, name, name == best) for name in columns]
        references = {"/best peer": row.ratio(best), "/floor": row.ratio("floor")}
        cells += [_ratio(references[name], name == "/best peer") for name in ratios]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _cell(row: Row, name: str, is_best: bool) -> str:
    value = row.median(name)
    if value is None:
        return ""
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
    return f"*{value:,.{digits}f}*" if is_best else f"{value:,.{digits}f}"


def _ratio(value: float | None, is_bold: bool) -> str:
    if value is None:
        return ""
    return f"**{value:.2f}**" if is_bold else f"{value:.2f}"


def _problems(document: dict) -> list[str]:
    """Which program failed in which row; why is in the run's own output."""
    found = [(name, row) for part in ("scenarios", "latency", "idle") for name, row in document[part].items()]
    found += [(f"{name} {count}", step) for name, growth in document["growth"].items()
              for count, step in growth["steps"].items()]
    found += [(name, document[name]) for name in ("certificates", "probes") if document.get(name)]
    return [f"{program} in {name}" for name, row in found for program in row.get("problems", {})]
