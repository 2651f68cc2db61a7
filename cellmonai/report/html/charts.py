"""Histograms as inline SVG: axes with units, ticks at round numbers, the median marked; no script, no library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.report.words import counted, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WIDTH, HEIGHT = 480, 270  # of the view box; the page scales it
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 36, 26, 52  # room for ticks and names of the axes
_TAIL_PERCENT = 99.5  # sizes above go into the last bar, so that one clump does not flatten all others
_TAIL_FACTOR = 1.5
_GAP = 0.4  # on both sides of a bar
_MOST_BINS = 32
_LEAST_BINS = 5  # around values that are all alike, so that they do not fill the picture
_LEAST_WIDTH = 0.01  # of a bin of sizes, as a share of the largest


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often values fall into bins of equal width.

    Parameters
    ----------
    edges : lower and upper ends of the bins, (n + 1,)
    frequencies : how many values each bin holds, (n,)
    median : of all values
    open_end : the last bin also holds all values above it
    whole : the values are whole numbers, and the edges lie halfway between two of them
    """

    edges: NDArray[np.float64]
    frequencies: NDArray[np.int64]
    median: float
    open_end: bool = False
    whole: bool = False


def histogram_of_counts(counts: Sequence[int]) -> Histogram:
    """Sort counts into bins of a round whole width; the bin of the counts a to b reaches from a - 0.5 to b + 0.5."""
    values = np.asarray(counts, np.float64)
    low, high = float(values.min()), float(values.max())
    bins = min(_MOST_BINS, max(5, math.ceil(2 * math.sqrt(values.size))))
    edges = _edges(low, high, max(1.0, _round((high - low + 1) / bins))) - 0.5
    return Histogram(edges, np.histogram(values, edges)[0].astype(np.int64), float(np.median(values)), whole=True)


def histogram_of_sizes(sizes: NDArray[Any]) -> Histogram:
    """Sort sizes into bins of a round width; the largest half percent shares the last bin where it lies far out."""
    values = np.asarray(sizes, np.float64)
    low, high = float(values.min()), float(values.max())
    usual = float(np.percentile(values, _TAIL_PERCENT))
    open_end = high > _TAIL_FACTOR * usual > 0
    top = usual if open_end else high
    bins = min(_MOST_BINS, max(6, math.ceil(2 * values.size ** (1 / 3))))
    edges = _edges(low, top, _round(max((top - low) / bins, _LEAST_WIDTH * top)))
    frequencies = np.histogram(np.minimum(values, (edges[-2] + edges[-1]) / 2 if open_end else high), edges)[0]
    return Histogram(edges, frequencies.astype(np.int64), float(np.median(values)), open_end)


def draw_histogram(histogram: Histogram, *, title: str, x_name: str, y_name: str, mark: str = "median") -> str:
    """Draw a histogram as an `<svg>` element, with its numbers as the tooltip of each bar.

    Parameters
    ----------
    title : says to those who do not see the picture what it is
    x_name, y_name : names of the axes, with units
    mark : the word beside the line at the median
    """
    edges, most = histogram.edges, int(histogram.frequencies.max(initial=1))
    y_ticks = _ticks(0, most, 4, whole=True)
    top_value = max(float(y_ticks[-1]), float(most))
    x = _Axis(float(edges[0]), float(edges[-1]), _LEFT, WIDTH - _RIGHT)
    y = _Axis(0.0, top_value, HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        *(_grid_line(y.at(value), number(value)) for value in y_ticks),
        *_bars(histogram, x, y, y_name),
        f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y.at(0):.1f}" y2="{y.at(0):.1f}"/>',
        *(_x_tick(x.at(value), y.at(0), number(value)) for value in _ticks(x.low, x.high, 6, whole=histogram.whole)),
        _median_line(histogram.median, x, mark),
        f'<text class="name" x="{(_LEFT + WIDTH - _RIGHT) / 2:.0f}" y="{HEIGHT - 8}">{escape(x_name)}</text>',
        f'<text class="name" transform="translate(13 {(HEIGHT - _BOTTOM + _TOP) / 2:.0f}) rotate(-90)">'
        f"{escape(y_name)}</text>",
        "</svg>",
    ]
    return "".join(parts)


def bin_names(histogram: Histogram) -> list[str]:
    """Give the bins in words, `10-19` for whole numbers and `10-20` else; `≥ 200` for a last one without an end."""
    whole, shift = histogram.whole, 0.5 if histogram.whole else 0.0
    low, high = histogram.edges[:-1] + shift, histogram.edges[1:] - shift
    names = [number(a) if whole and a == b else f"{number(a)}\u2013{number(b)}" for a, b in zip(low, high, strict=True)]
    if histogram.open_end:
        names[-1] = f"≥ {number(low[-1])}"
    return names


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where a value lies between two ends in the picture."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)


def _bars(histogram: Histogram, x: _Axis, y: _Axis, y_name: str) -> list[str]:
    one = y_name.removesuffix("s")
    bars = []
    for n, (left, right, name) in enumerate(
        zip(histogram.edges[:-1], histogram.edges[1:], bin_names(histogram), strict=True)
    ):
        amount = int(histogram.frequencies[n])
        if not amount:
            continue
        height = max(y.at(0) - y.at(amount), 1.5)  # a single value stays visible
        last = " tail" if histogram.open_end and n == histogram.frequencies.size - 1 else ""
        bars.append(
            f'<rect class="bar{last}" x="{x.at(left) + _GAP:.1f}" y="{y.at(0) - height:.1f}" '
            f'width="{max(x.at(right) - x.at(left) - 2 * _GAP, 0.6):.1f}" height="{height:.1f}">'
            f"<title>{escape(name)}: {escape(counted(amount, one))}</title></rect>"
        )
    return bars


def _grid_line(y: float, name: str) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick end" x="{_LEFT - 7}" y="{y + 4:.1f}">{name}</text>'
    )


def _x_tick(x: float, y: float, name: str) -> str:
    return (
        f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{y:.1f}" y2="{y + 5:.1f}"/>'
        f'<text class="tick" x="{x:.1f}" y="{y + 19:.1f}">{name}</text>'
    )


def _median_line(median: float, x: _Axis, mark: str) -> str:
    at = x.at(min(max(median, x.low), x.high))
    side = "end" if at > WIDTH * 0.6 else "start"
    shift = -6 if side == "end" else 6
    return (
        f'<line class="median" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 12}" y2="{HEIGHT - _BOTTOM}"/>'
        f'<text class="mark {side}" x="{at + shift:.1f}" y="{_TOP - 6}">{escape(mark)} {number(median)}</text>'
    )


def _edges(low: float, high: float, width: float) -> NDArray[np.float64]:
    """Give edges at multiples of `width` that hold `low` and `high`, not below zero, and make a few bins at least."""
    first, last = math.floor(low / width), math.floor(high / width) + 1
    missing = max(0, _LEAST_BINS - (last - first))
    first = max(0, first - missing // 2)
    return np.arange(first, max(last, first + _LEAST_BINS) + 1, dtype=np.float64) * width


def _ticks(low: float, high: float, wished: int, *, whole: bool = False) -> list[float]:
    step = _round_up((high - low) / wished)
    step = max(step, 1.0) if whole else step
    return [n * step for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _round(width: float) -> float:
    """Give the one of 1, 2, 5 times a power of ten that is nearest to `width` as a ratio."""
    power = 10.0 ** math.floor(math.log10(max(width, 1e-12)))
    return min((factor * power for factor in (1, 2, 5, 10)), key=lambda near: abs(math.log(near / width)))


def _round_up(width: float) -> float:
    """Give the least of 1, 2, 5 times a power of ten that is not below `width`."""
    power = 10.0 ** math.floor(math.log10(max(width, 1e-12)))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= width * (1 - 1e-9))
