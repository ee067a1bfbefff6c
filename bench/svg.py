"""The two kinds of plots of the bench as SVG: bars, and lines over steps."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from bench.figures import Spread

_WIDTH: Final = 720
_LEFT: Final = 190
_RIGHT: Final = 90
_BAR: Final = 26
_TOP: Final = 40
_HEIGHT: Final = 360
_COLOURS: Final = ("#7f8c8d", "#1f6fb2", "#2e9d5b", "#d97a1e", "#a33b8f", "#555555")
_STEPS: Final = 4


def bars(title: str, rows: Mapping[str, Spread]) -> str:
    """A bar for each row's median, with a whisker from the lowest to the highest value."""
    most = max((spread.high for spread in rows.values()), default=1.0)
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    parts = []
    for number, (name, spread) in enumerate(rows.items()):
        y = _TOP + number * _BAR
        middle = y + _BAR / 2 - 3
        ends = [_LEFT + spread.low * scale, _LEFT + spread.high * scale]
        parts += [
            _text(_LEFT - 8, middle + 4, name, "end"),
            f'<rect x="{_LEFT}" y="{y}" width="{spread.median * scale:.1f}" height="{_BAR - 6}" fill="{_COLOURS[1]}"/>',
            f'<path d="M{ends[0]:.1f} {middle}H{ends[1]:.1f}" stroke="#222" stroke-width="2"/>',
            _text(max(ends[1], _LEFT + spread.median * scale) + 6, middle + 4, _number(spread.median)),
        ]
    return _drawing(title, _TOP + len(rows) * _BAR + 10, parts)


def lines(title: str, steps: Sequence[str], series: Mapping[str, Sequence[Spread | None]], unit: str) -> str:
    """A line for each series over evenly spaced steps; None is a gap. The shade shows the lowest to the highest."""
    known = [spread.high for values in series.values() for spread in values if spread is not None]
    most = _round_up(max(known, default=1.0))
    bottom, left, right = _HEIGHT - 40, 70, _WIDTH - 150
    across = (right - left) / max(1, len(steps) - 1)

    def place(step: int, value: float) -> tuple[float, float]:
        return left + step * across, bottom - value / most * (bottom - _TOP)

    parts = []
    for number in range(_STEPS + 1):
        value = most * number / _STEPS
        _, y = place(0, value)
        parts += [f'<path d="M{left} {y:.1f}H{right}" stroke="#ddd"/>', _text(left - 8, y + 4, _number(value), "end")]
    parts += [_text(left + step * across, bottom + 18, name, "middle") for step, name in enumerate(steps)]
    parts.append(_text(left, bottom + 36, unit))
    for number, (name, values) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        drawn = [(step, spread) for step, spread in enumerate(values) if spread is not None]
        medians = [place(step, spread.median) for step, spread in drawn]
        edge = [place(step, spread.high) for step, spread in drawn]
        edge += [place(step, spread.low) for step, spread in reversed(drawn)]
        if medians:
            parts += [
                f'<polygon points="{_points(edge)}" fill="{colour}" opacity="0.15"/>',
                f'<polyline points="{_points(medians)}" fill="none" stroke="{colour}" stroke-width="2"/>',
            ]
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in medians]
            parts.append(_text(right + 12, _TOP + 14 + number * 20, name, "start", colour))
    return _drawing(title, _HEIGHT, parts)


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _round_up(value: float) -> float:
    """The next greater number whose quarters are round."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next((step * power for step in (1, 2, 4, 6, 8) if value <= step * power), 10 * power)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits are enough


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = "#222") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _drawing(title: str, height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" '
        f'font-family="sans-serif" font-size="13" role="img" aria-label="{escape(title)}">'
    )
    background = f'<rect width="{_WIDTH}" height="{height:.0f}" fill="#fff"/>'
    heading = f'<text x="12" y="22" font-size="15" font-weight="bold" fill="#222">{escape(title)}</text>'
    return "\n".join([head, background, heading, *parts, "</svg>"]) + "\n"
