"""Where a test turned, and its grid of revisions."""

from datetime import timedelta
from typing import Any

from changes.base import clock, ids
from changes.builds.rules import Result
from changes.results import testgrid
from changes.results.history import RunOfTest


def a_run(number: int, result: Result = Result.PASSED, **more: Any) -> RunOfTest:
    told = {
        "id": ids.new(),
        "result": result,
        "duration_ms": 7,
        "reruns": 0,
        "build_id": ids.new(),
        "number": number,
        "job_id": ids.new(),
        "plan": "unit",
        "sha": f"sha{number}",
        "subject": "Mend it",
        "branches": ["main"],
        "is_of_commit": True,
        "date_created": clock.now(),
    }
    return RunOfTest(**{**told, **more})


def newest_first(*runs: RunOfTest) -> list[RunOfTest]:
    return sorted(runs, key=lambda run: -run.number)


def test_it_fails_since_the_first_of_an_unbroken_chain() -> None:
    failed = [a_run(number, Result.FAILED) for number in (3, 4, 5)]

    turned = testgrid.turning(newest_first(a_run(1, Result.FAILED), a_run(2), *failed), "main")

    assert turned is not None
    assert (turned.is_failing, turned.since.sha) == (True, "sha3")
    assert turned.before is not None
    assert turned.before.sha == "sha2"


def test_surroundings_of_one_plan_have_rows_of_their_own() -> None:
    runs = [a_run(1, environment="py3.10"), a_run(1, Result.FAILED, environment="py3.9")]

    rows = testgrid.grid(runs).rows

    assert [(row.plan, row.cells[0] and row.cells[0].result) for row in rows] == [
        ("unit, py3.10", Result.PASSED),
        ("unit, py3.9", Result.FAILED),
    ]


def test_it_passes_since_it_was_mended() -> None:
    turned = testgrid.turning(newest_first(a_run(1, Result.FAILED), a_run(2), a_run(3)), "main")

    assert turned is not None
    assert (turned.is_failing, turned.since.number) == (False, 2)
    assert turned.before is not None
    assert turned.before.number == 1


def test_what_never_turned_has_no_other_side() -> None:
    turned = testgrid.turning([a_run(2), a_run(1)], "main")

    assert turned is not None
    assert (turned.since.number, turned.before) == (1, None)


def test_a_revision_that_was_built_again_is_worth_its_newest_build() -> None:
    runs = [a_run(3, sha="b"), a_run(2, Result.FAILED, sha="b"), a_run(1, sha="a")]

    turned = testgrid.turning(runs, "main")

    assert turned is not None
    assert (turned.is_failing, turned.since.sha) == (False, "a")


def test_one_plan_that_failed_is_enough() -> None:
    runs = [a_run(2, Result.FAILED, plan="slow"), a_run(2), a_run(1)]

    turned = testgrid.turning(runs, "main")

    assert turned is not None
    assert (turned.is_failing, turned.since.number) == (True, 2)


def test_another_plan_that_passed_later_does_not_mend_it() -> None:
    runs = [a_run(3, sha="a"), a_run(2, Result.FAILED, sha="a", plan="slow"), a_run(2, sha="a"), a_run(1)]

    turned = testgrid.turning(runs, "main")

    assert turned is not None
    assert (turned.is_failing, turned.since.sha) == (True, "a")


def test_what_was_built_to_search_what_broke_it_stands_where_its_commit_stands() -> None:
    days = [clock.now() + timedelta(days=day) for day in range(4)]
    searched = a_run(4, Result.FAILED, date_committed=days[2]), a_run(3, date_committed=days[1])
    runs = [*searched, a_run(2, Result.FAILED, date_committed=days[3]), a_run(1, date_committed=days[0])]

    turned = testgrid.turning(runs, "main")

    assert [place.number for place in testgrid.grid(runs).columns] == [1, 3, 4, 2]
    assert turned is not None
    assert (turned.is_failing, turned.since.number) == (True, 4)
    assert turned.before is not None
    assert turned.before.number == 3


def test_an_attempt_that_was_made_again_judges_nothing() -> None:
    runs = [a_run(2), a_run(2, Result.FAILED, is_replaced=True), a_run(1)]

    turned = testgrid.turning(runs, "main")

    assert turned is not None
    assert (turned.is_failing, turned.since.number) == (False, 1)


def test_patches_and_skipped_runs_judge_nothing() -> None:
    runs = [a_run(3, Result.FAILED, is_of_commit=False), a_run(2, Result.SKIPPED)]

    assert testgrid.turning(runs, "main") is None


def test_another_branch_has_its_own_story() -> None:
    runs = [a_run(2, Result.FAILED, branches=["next"]), a_run(1)]

    assert testgrid.branches(runs) == ["main", "next"]
    assert [testgrid.turning(runs, name).is_failing for name in ("main", "next")] == [  # type: ignore[union-attr]
        False,
        True,
    ]


def test_the_grid_has_a_row_for_each_branch_and_plan_and_gaps_where_it_did_not_run() -> None:
    runs = [a_run(3, Result.FAILED), a_run(2, plan="slow"), a_run(1)]

    grid = testgrid.grid(runs)

    assert [place.number for place in grid.columns] == [1, 2, 3]
    assert [(row.plan, [cell.result.name if cell else "" for cell in row.cells]) for row in grid.rows] == [
        ("slow", ["", "PASSED", ""]),
        ("unit", ["PASSED", "", "FAILED"]),
    ]


def test_the_grid_is_as_wide_as_a_page() -> None:
    grid = testgrid.grid(newest_first(*(a_run(number) for number in range(1, 100))))

    assert len(grid.columns) == testgrid.COLUMNS_MAX
    assert grid.columns[-1].number == 99
