"""Lines with their marks, spans that did not run, a way through commits, figures in words, badges."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from tests.results.coverage.reports import marked

from changes.results.coverage.queries import Counts, Moment
from changes.web import badges
from changes.web.pages import covered_lines, links, phrasing
from changes.web.pages.covered_lines import Span

AT = datetime(2026, 1, 5, tzinfo=UTC)


def moments(*shares: int) -> list[Moment]:
    return [
        Moment(UUID(int=number), number, "A build", "a" * 40, AT, Counts(share, 1000 - share), None)
        for number, share in enumerate(shares)
    ]


def test_each_line_has_its_mark() -> None:
    drawn = covered_lines.drawn("a.py", ["a", "b", "c", "d"], marked("CUP"))

    assert [(row.number, row.state.sign) for row in drawn.rows] == [(1, "✓"), (2, "✗"), (3, "◐"), (4, "")]


def test_a_long_file_comes_in_parts() -> None:
    drawn = covered_lines.drawn("a.txt", ["x"] * 2500, marked("C"), part=3)

    assert (drawn.part, drawn.part_count, drawn.rows[0].number, len(drawn.rows)) == (3, 3, 2001, 500)


def test_lines_without_code_do_not_part_what_did_not_run() -> None:
    found = covered_lines.spans(marked("UUNNUCUNP" + "N" * 1000 + "U"))

    assert found == [Span(1, 5, 1), Span(7, 1010, 1)]


def test_a_line_is_led_to_where_its_part_is() -> None:
    assert links.covered_line("/b/1/", "src/a b.py", 12) == "/b/1/coverage/files/src/a%20b.py#L12"
    assert links.covered_line("/b/1/", "a.py", 1001) == "/b/1/coverage/files/a.py?part=2#L1001"


@pytest.mark.parametrize(
    ("shares", "edge"),
    [
        ((800, 830), ("85 %", "82.5 %", "80 %")),
        ((1000,), ("100 %", "97.5 %", "95 %")),
        ((0, 20), ("5 %", "2.5 %", "0 %")),
        ((), ("5 %", "2.5 %", "0 %")),
    ],
)
def test_the_scale_of_a_way_fits_what_is_on_it(shares: tuple[int, ...], edge: tuple[str, str, str]) -> None:
    found = covered_lines.trend(moments(*shares))

    assert found.edge == edge
    assert all(0 <= point.y <= 100 for point in found.points)


@pytest.mark.parametrize(
    ("share", "words"), [(None, "\N{EN DASH}"), (0, "0.0 %"), (0.99999, "99.9 %"), (1, "100.0 %")]
)
def test_percents_are_never_rounded_up_to_all(share: float | None, words: str) -> None:
    assert phrasing.percent(share) == words


@pytest.mark.parametrize(
    ("more", "words"),
    [(None, "\N{EN DASH}"), (0.01, "no change"), (1.25, "+1.2 points"), (-3, "\N{MINUS SIGN}3.0 points")],
)
def test_a_change_is_told_in_points(more: float | None, words: str) -> None:
    assert phrasing.points(more) == words


@pytest.mark.parametrize(
    ("share", "figure"), [(None, "unknown"), (0.8999, "89.9 %"), (1.0, "100 %"), (0.0, "0 %")]
)
def test_a_badge_says_its_figure_to_everybody(share: float | None, figure: str) -> None:
    drawn = badges.drawn("coverage", share)

    assert f'aria-label="coverage: {figure}"' in drawn
    assert drawn.count(figure) == 3


def test_a_badge_is_text_and_nothing_else() -> None:
    assert "<script" not in badges.drawn("<script>", 0.5)
