import pytest

from changes.web.pages import charts, states
from changes.web.pages.charts import Point, Span


def test_the_highest_bar_ends_below_a_round_figure() -> None:
    points = [Point(12, states.PASSED, "#1"), Point(47, states.FAILED, "#2")]

    placed = charts.bars(points)

    assert charts.top_of(points) == 60
    assert [round(bar.height) for bar in placed] == [20, 78]
    assert all(bar.y + bar.height == pytest.approx(charts.PLOT_HEIGHT) for bar in placed)


def test_what_has_no_duration_yet_stands_as_a_stump() -> None:
    (bar,) = charts.bars([Point(None, states.RUNNING, "#1")])

    assert bar.height == charts.LEAST_HEIGHT


def test_a_few_failures_among_thousands_are_seen() -> None:
    placed = charts.shares([(states.PASSED, 100_000), (states.FAILED, 1), (states.SKIPPED, 0)])

    assert [state.name for state, *_ in placed] == ["passed", "failed"]
    _, _, left, width = placed[-1]
    assert width >= charts.LEAST_SHARE
    assert left + width == pytest.approx(charts.TIMELINE_WIDTH, abs=0.1)


def test_a_span_never_leaves_its_timeline() -> None:
    left, width = charts.place(Span(100, 100, states.PASSED, "a moment"), total_s=100)

    assert width == charts.LEAST_SPAN
    assert left + width <= charts.TIMELINE_WIDTH


def test_waiting_is_not_work() -> None:
    spans = [Span(0, 30, states.WAITING, "waited"), Span(30, 42, states.PASSED, "ran")]

    assert charts.ran_s(spans) == 12
    assert charts.ran_s(spans[:1]) is None
