"""The parts of charts: axes, thinning, symbols, the picture of arrivals, number_format."""

from __future__ import annotations

import io
import math
import re
import struct
import zlib
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from erasurehead_cli.report import axes, heatmap, symbols, thinning
from erasurehead_cli.report.markup import table
from erasurehead_cli.results import number_format
from erasurehead_cli.results.series import ArrivalGrid

NUMBERS = st.floats(-1e9, 1e9, allow_nan=False)


@example([1.0, 2.2e-313], False, False)  # their ratio is infinite
@example([5e-324], True, False)  # a sixth of it is zero
@example([1e-300, 3e-300], False, True)
@given(st.lists(NUMBERS, min_size=1, max_size=20), st.booleans(), st.booleans())
def test_an_axis_holds_its_values_and_has_ticks(
    values: list[float], zero: bool, tight: bool
) -> None:
    axis = axes.fit("x", [np.array(values)], zero=zero, tight=tight, log_above=50)
    places = axis.place(np.array(values))
    assert places.min() >= -1e-9
    assert places.max() <= 1 + 1e-9
    ticks = axis.ticks()
    assert 1 <= len(ticks) <= 12
    assert [p for p, _ in ticks] == sorted(p for p, _ in ticks)
    assert len({label for _, label in ticks}) == len(ticks)


@pytest.mark.parametrize(
    ("lo", "hi", "log", "labels"),
    [
        (0.0, 1.0, False, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (0.61, 0.70, False, ["0.62", "0.64", "0.66", "0.68", "0.7"]),
        (0.0, 45.0, False, ["0", "10", "20", "30", "40"]),
        (0.0, 1e5, False, ["0", "20k", "40k", "60k", "80k", "100k"]),
        (0.05, 6.0, True, ["0.05", "0.1", "0.2", "0.5", "1", "2", "5"]),
        (1e-4, 1e4, True, ["0.0001", "0.01", "1", "100", "10000"]),
        (2.1, 4.4, True, ["2.5", "3", "3.5", "4"]),
    ],
)
def test_ticks_are_round_numbers(lo: float, hi: float, log: bool, labels: list[str]) -> None:
    ticks = [label for _, label in axes.Axis("x", lo, hi, log).ticks()]
    assert ticks == labels


def test_an_axis_becomes_logarithmic_only_where_it_may() -> None:
    far = [np.array([0.01, 10.0])]
    assert axes.fit("x", far, log_above=50).log
    assert not axes.fit("x", far).log
    assert not axes.fit("x", [np.array([0.0, 10.0])], log_above=50).log
    assert not axes.fit("x", [np.array([1.0, 10.0])], log_above=50).log


@pytest.mark.parametrize("values", [[], [np.nan], [np.inf, -np.inf]])
def test_without_finite_values_an_axis_still_stands(values: list[float]) -> None:
    axis = axes.fit("x", [np.array(values)])
    assert (axis.lo, axis.hi) == (0.0, 1.0)


def test_short_times_are_in_milliseconds() -> None:
    axis = axes.in_seconds(axes.fit("time", [np.array([0.02, 0.2])], zero=True, tight=True))
    assert axis.name == "time (ms)"
    assert axis.ticks()[-1] == (1.0, "200")


@given(st.lists(NUMBERS, min_size=0, max_size=3000), st.integers(1, 50))
def test_thinning_keeps_ends_and_extremes(values: list[float], n_bins: int) -> None:
    y = np.array(values)
    x, kept = thinning.thin(np.arange(float(len(y))), y, n_bins)
    assert len(x) <= 2 * n_bins + 2
    assert kept.tolist() == [values[int(n)] for n in x]
    if values:
        assert x[0] == 0
        assert x[-1] == len(values) - 1
        assert kept.min() == y.min()
        assert kept.max() == y.max()


def test_points_that_are_not_finite_are_left_out() -> None:
    x, y = thinning.thin(np.arange(4.0), np.array([1.0, np.nan, np.inf, 2.0]))
    assert (x.tolist(), y.tolist()) == ([0.0, 3.0], [1.0, 2.0])


def test_bins_have_means_and_extremes() -> None:
    y = np.arange(1000.0) % 7
    bins = thinning.binned(np.arange(1000.0), y, n_bins=120)
    assert bins.size == 9
    assert len(bins.mean) == 112
    assert bins.mean[0] == pytest.approx(y[:9].mean())
    assert (bins.low[0], bins.high[0]) == (0.0, 6.0)
    assert bins.mean[-1] == pytest.approx(y[999:].mean())
    assert thinning.binned(np.zeros(0), np.zeros(0)).mean.size == 0


def test_a_png_is_read_back_as_it_was() -> None:
    from matplotlib.image import imread

    cells = np.array([[0, 1, 2], [2, 1, 0]], dtype=np.uint8)
    held = heatmap.png(cells, bytes([255, 0, 0, 0, 255, 0, 0, 0, 255]), bytes([255, 128, 0]))
    pixels = np.round(imread(io.BytesIO(held)) * 255).astype(int)
    assert pixels.shape == (2, 3, 4)
    assert pixels[0].tolist() == [[255, 0, 0, 255], [0, 255, 0, 128], [0, 0, 255, 0]]
    assert pixels[1, 0].tolist() == [0, 0, 255, 0]


def test_late_is_darker_and_missing_is_clear() -> None:
    """Slot 0 arrives at once, slot 1 late, slot 2 never; the picture says so."""
    from matplotlib.image import imread

    grid = ArrivalGrid(3, 2)
    for index in range(2):
        grid.add(index, np.array([0, 1]), np.array([0.0, 1.0]))
    pixels = imread(io.BytesIO(heatmap.picture(grid, 1.0)))
    assert pixels.shape == (3, 2, 4)
    assert pixels[:, 0, 3].tolist() == [1.0, 1.0, 0.0]
    assert pixels[0, 0, :3].sum() > pixels[1, 0, :3].sum()


def test_the_scale_of_arrivals_falls_steadily_in_lightness() -> None:
    lightness = [_luminance(c) for c in heatmap.colours()]
    assert all(a > b for a, b in pairwise(lightness))


def test_png_chunks_have_their_checksums() -> None:
    held = heatmap.png(np.zeros((1, 1), dtype=np.uint8), b"\0\0\0", b"\0")[8:]
    while held:
        (length,) = struct.unpack(">I", held[:4])
        assert struct.unpack(">I", held[8 + length : 12 + length])[0] == zlib.crc32(
            held[4 : 8 + length]
        )
        held = held[12 + length :]


def test_runs_differ_in_more_than_colour() -> None:
    looks = [(symbols.line_classes(n), symbols.marker(n)) for n in range(35)]
    assert len(set(looks)) == 35
    dash_and_marker = [(look[0].split()[1], look[1]) for look in looks]
    assert len(set(dash_and_marker)) == 35


def test_colours_stand_out_in_both_schemes() -> None:
    """WCAG 2 asks for 3:1 between a chart's lines and its ground, and 4.5:1 for text."""
    style = files("erasurehead_cli.report").joinpath("style.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    for block in (light, dark):
        names = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for ground in (names["ground"], names["panel"]):
            for n in range(symbols.N_COLOURS):
                assert _contrast(names[f"c{n}"], ground) >= 3, (n, ground)
            for text in ("ink", "soft", "warn"):
                assert _contrast(names[text], ground) >= 4.5, (text, ground)


def test_every_colour_and_dash_has_its_style() -> None:
    style = files("erasurehead_cli.report").joinpath("style.css").read_text()
    for n in range(symbols.N_COLOURS):
        assert f".line.c{n}," in style
        assert f".mark.c{n}," in style
    for n in range(1, symbols.N_DASHES):
        assert f".d{n} {{ stroke-dasharray" in style
    for phase in symbols.PHASES:
        assert f".fill-{phase} " in style


def test_text_is_escaped() -> None:
    assert "<b>" not in table({"<b>": ["<b>"]}, "<b>")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00 s"), (0.00123, "1.23 ms"), (0.386, "0.386 s"), (1.5, "1.50 s"),
        (12.34, "12.3 s"), (23308.3, "23,308 s"), (math.nan, "-"), (0.0995, "99.5 ms"),
    ],
)  # fmt: skip
def test_seconds_have_three_digits(value: float, text: str) -> None:
    assert number_format.seconds(value) == text


def test_other_numbers() -> None:
    assert [number_format.percent(x) for x in (0.0, 0.034, 0.5, 1.0)] == [
        "0%",
        "3.4%",
        "50%",
        "100%",
    ]
    assert [number_format.size(x) for x in (12, 98_586_624, 2.5e9)] == ["12 B", "98.6 MB", "2.5 GB"]
    assert number_format.times(None) == number_format.fixed(None) == "-"


def _luminance(colour: object) -> float:
    channels = np.asarray(colour, dtype=float) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _contrast(a: str, b: str) -> float:
    lights = sorted(_luminance([int(c[i : i + 2], 16) for i in (1, 3, 5)]) for c in (a, b))
    return (lights[1] + 0.05) / (lights[0] + 0.05)
