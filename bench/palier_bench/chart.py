"""The chart of ratios, as SVG: small, the same for the same numbers, readable on light and on dark pages."""

from dataclasses import dataclass
from xml.sax.saxutils import escape

from .results import Row
from .scenario import FLOOR_GOAL, GOAL

_PARITY = 1.0
_LONGEST = 1.5  # a ratio; longer bars are cut, their numbers are not
_WIDTH, _LEFT, _RIGHT = 920, 440, 60  # pixels: of all, of the names, beside the longest bar
_LINE, _BAR = 22, 12  # heights: of a row, of its bar
_TOP, _SECTION = 62, 30
_SCALE = (_WIDTH - _LEFT - _RIGHT) / _LONGEST

# Colours that have contrast enough with white and with GitHub's dark page, where the style's second half holds.
_STYLE = """\
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#1f2328}
.title{font-size:15px;font-weight:600}.section{font-weight:600}.quiet{fill:#59636e}.end{text-anchor:end}\
.middle{text-anchor:middle}
.good{fill:#1a7f5a}.fair{fill:#b7791f}.poor{fill:#c2413b}
.floor{fill:#ffffff;stroke:#59636e;stroke-width:1.5}.grid{stroke:#d1d9e0}.mark{stroke:#59636e;stroke-dasharray:4 3}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.quiet{fill:#9198a1}.good{fill:#3fb68b}.fair{fill:#d9a441}\
.poor{fill:#ef6b63}.floor{fill:#0d1117;stroke:#9198a1}.grid{stroke:#3d444d}.mark{stroke:#9198a1}}"""


@dataclass(frozen=True)
class _Bar:
    section: str
    title: str
    to_best: float
    to_floor: float | None


def draw(rows: list[Row]) -> str:
    """Of the rows that are charted and have a best peer."""
    bars = []
    for row in rows:
        ratio = row.ratio(row.best_peer())
        if row.charted and ratio is not None:
            bars.append(_Bar(row.section, row.title, ratio, row.ratio("floor")))
    body, bottom = _body(bars)
    height = bottom + 34
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" role="img">',
        "<title>palier's cost divided by that of the best peer, for each row of the benchmark</title>",
        f"<style>{_STYLE}</style>",
        '<text class="title" x="12" y="24">palier\'s cost divided by the best peer\'s</text>',
        '<text class="quiet" x="12" y="43">shorter is better; the ring: divided by '
        f'the blind forwarder\'s, at most {FLOOR_GOAL:g} wanted</text>',
        *_lines(bottom), *body, "</svg>", ""])


def _lines(bottom: int) -> list[str]:
    out = []
    for ratio in (0.0, 0.5, GOAL, _PARITY, FLOOR_GOAL, _LONGEST):
        x = _x(ratio)
        kind = "mark" if ratio in (GOAL, _PARITY) else "grid"
        out.append(f'<line class="{kind}" x1="{x}" y1="{_TOP}" x2="{x}" y2="{bottom}"/>')
        out.append(f'<text class="quiet middle" x="{x}" y="{bottom + 16}">{ratio:g}</text>')
    out.append(f'<text class="quiet end" x="{_x(GOAL) - 4}" y="{_TOP - 6}">goal</text>')
    out.append(f'<text class="quiet" x="{_x(_PARITY) - 4}" y="{_TOP - 6}">as the best peer</text>')
    return out


def _body(bars: list[_Bar]) -> tuple[list[str], int]:
    out, y, section = [], _TOP, None
    for bar in bars:
        if bar.section != section:
            section = bar.section
            out.append(f'<text class="section" x="12" y="{y + 18}">{escape(section)}</text>')
            y += _SECTION
        out += _one(bar, y)
        y += _LINE
    return out, y + 6


def _one(bar: _Bar, y: int) -> list[str]:
    kind = "good" if bar.to_best <= GOAL else "fair" if bar.to_best <= _PARITY else "poor"
    end, middle = _x(bar.to_best), y + _LINE // 2
    out = [f'<text class="end" x="{_LEFT - 10}" y="{middle + 4}">{escape(_short(bar.title))}</text>',
           f'<rect class="{kind}" x="{_LEFT}" y="{middle - _BAR // 2}" width="{round(end - _LEFT, 1)}" '
           f'height="{_BAR}" rx="2"/>']
    if bar.to_floor is not None:
        out.append(f'<circle class="floor" cx="{_x(bar.to_floor)}" cy="{middle}" r="4.5"/>')
    out.append(f'<text class="end" x="{_WIDTH - 12}" y="{middle + 4}">{bar.to_best:.2f}</text>')
    return out


def _x(ratio: float) -> float:
    return round(_LEFT + min(max(ratio, 0.0), _LONGEST) * _SCALE, 1)


def _short(title: str) -> str:
    """What fits left of the bars."""
    return title if len(title) <= 64 else title[:63].rstrip(" ,") + "…"
