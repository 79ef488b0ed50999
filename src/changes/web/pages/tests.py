"""The tests of a build: failures first, by package, by name, slowest first; and one run with its words."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.db import Session
from changes.builds import anatomy, target_queries
from changes.builds.models import Build
from changes.builds.rules import Result
from changes.projects import comments
from changes.projects.rules import CommentTarget
from changes.results import (
    against_base,
    artifacts,
    cause_queries,
    causes,
    owners,
    suite,
    test_files,
    testruns,
)
from changes.results.against_base import Compared, FixedTest, News
from changes.results.models import Artifact
from changes.results.suite import Package, PastRun, SuiteAsked
from changes.web import call, paging
from changes.web.pages import artifact_words, drawing, file_places, said, states
from changes.web.pages.builds import NEWS_WORDS, find, frame_of
from changes.web.pages.charts import Point
from changes.web.params import Parameters, parameters

pages = APIRouter()
TESTS_PER_PAGE = 100
HISTORY_SHOWN, LATER_SHOWN = 32, 8
FILES_SHOWN = 25
MS_PER_S = 1000
MESSAGE_CHARACTERS = 200_000
RESULT_CHOICES = [
    ("", "Any"),
    ("failed", "Failed"),
    ("new", "Newly failing"),
    ("still", "Still failing"),
    ("passed", "Passed"),
    ("skipped", "Skipped"),
    ("quarantined", "Quarantined"),
]
KINDS = {"new": News.NEW, "still": News.STILL}
SORT_CHOICES = [
    ("", "Failures first"),
    ("name", "Name"),
    ("slowest", "Slowest first"),
    ("retries", "Most reruns first"),
]
BAD = (Result.FAILED, Result.QUARANTINED_FAILED)


class TestsAsked(Parameters):
    result: Annotated[str, Field(pattern="^(failed|new|still|passed|skipped|quarantined|)$")] = ""
    query: str = ""
    prefix: str = ""
    sort: Annotated[str, Field(pattern="^(failures|name|slowest|retries|)$")] = ""


@pages.get("/projects/{slug}/builds/{reference}/tests/")
def list_tests(
    request: Request, slug: str, reference: str, asked: Annotated[TestsAsked, parameters(TestsAsked)]
) -> Response:
    page = paging.walked(request, size=TESTS_PER_PAGE)
    with call.reading(request) as this:
        build = find(this.session, slug, reference).build
        compared = against_base.compare(this.session, build)
        part = suite.runs(this.session, build.id, page, wanted(asked, compared))
        before, after = paging.newer_and_older(request, page, part)
        values = {
            **frame_of(build),
            **counts(testruns.counts_of_build(this.session, build.id)),
            "target_count": target_count(this.session, build) if is_first(request, asked) else 0,
            "runs": part.rows,
            "owners_of": owners.of_runs(this.session, [each.id for each in part.rows if not each.test.owner]),
            "packages": packages_of(this.session, build.id, asked.prefix),
            "before": before,
            "after": after,
            "compared": compared,
            "compared_max": against_base.FAILURES_MAX,
            "news_words": NEWS_WORDS,
            "fixed": fixed(this.session, build, compared) if is_first(request, asked) else [],
            **filters(asked),
        }
        return drawing.page(request, "tests.html", values)


def wanted(asked: TestsAsked, compared: Compared) -> SuiteAsked:
    kind = KINDS.get(asked.result)
    group = "failed" if kind else asked.result
    among = compared.of_kind(kind) if kind else None
    return SuiteAsked(group, asked.query.strip(), asked.prefix, asked.sort or "failures", among)


def is_first(request: Request, asked: TestsAsked) -> bool:
    """What was mended is told once, above the list as it begins."""
    return not (
        asked.result or asked.query or asked.prefix or {"after", "before"} & set(request.query_params)
    )


def fixed(session: Session, build: Build, compared: Compared) -> Sequence[FixedTest]:
    return against_base.fixed_since(session, build, compared.base) if compared.base else []


def target_count(session: Session, build: Build) -> int:
    return target_queries.sums(session, build.id).total


def packages_of(session: Session, build_id: UUID, prefix: str) -> list[Package]:
    return suite.packages(session, build_id, suite.common_prefix(session, build_id, prefix))


def counts(found: dict[Result, int]) -> dict[str, Any]:
    return {
        "test_parts": [(states.OF_RESULT[result], found[result]) for result in sorted(found)],
        "test_count": sum(found.values()),
        "failed_count": found.get(Result.FAILED, 0),
    }


def filters(asked: TestsAsked) -> dict[str, Any]:
    return {
        "asked": asked,
        "is_filtered": bool(asked.result or asked.query or asked.prefix),
        "result_choices": RESULT_CHOICES,
        "sort_choices": SORT_CHOICES,
        "trail": trail(asked.prefix),
    }


def trail(prefix: str) -> list[tuple[str, str]]:
    """The steps down to `prefix`, each with the prefix it stands for."""
    steps, begins = [], 0
    for index, letter in enumerate(prefix):
        is_end = letter in "./:" and prefix[index + 1 : index + 2] != ":"
        if is_end or index == len(prefix) - 1:
            steps.append((prefix[begins : index + 1], prefix[: index + 1]))
            begins = index + 1
    return steps


@pages.get("/projects/{slug}/builds/{reference}/tests/{run_id:uuid}/")
def show_run(request: Request, slug: str, reference: str, run_id: UUID) -> Response:
    with call.reading(request) as this:
        build = find(this.session, slug, reference).build
        run, test, step, message = suite.run(this.session, build, run_id)
        around = suite.runs_around(this.session, run, until=HISTORY_SHOWN, later=LATER_SHOWN)
        remarks = comments.of(this.session, CommentTarget.TEST, [test.outside_id])
        values = {
            **frame_of(build),
            **said.shown(this, remarks),
            "remarks": remarks,
            "run": run,
            "test": test,
            "step": step,
            "said": file_places.told(this.session, build.source, message[:MESSAGE_CHARACTERS]),
            "is_cut": len(message) > MESSAGE_CHARACTERS,
            **files_of(artifacts.of_step(this.session, step.id), test.name, message),
            "points": points(slug, around),
            "seen_before": seen_before(run.outside_id, around),
            "cause": cause_queries.of_runs(this.session, [run.id]).get(run.id),
            "verdicts": causes.VERDICTS,
            "asked": anatomy.owners_of(this.session, step.job_id),
        }
        return drawing.page(request, "test.html", values)


def files_of(left: Sequence[Artifact], test: str, message: str) -> dict[str, Any]:
    """Those of this test, and how many its step left in all."""
    here = [each for each in left if each.date_removed is None]
    mine = test_files.of_test(test, message, here)
    return {"files": artifact_words.thumbnails(mine), "artifacts": here[:FILES_SHOWN], "left": len(here)}


def points(slug: str, runs: Sequence[PastRun]) -> list[Point]:
    """Oldest left."""
    return [
        Point(
            None if run.duration_ms is None else run.duration_ms / MS_PER_S,
            states.OF_RESULT[run.result],
            f"Build #{run.number}",
            f"/projects/{slug}/builds/{run.number}/tests/{run.id.hex}/",
        )
        for run in reversed(runs)
    ]


def seen_before(run_id: UUID, past: Sequence[PastRun]) -> str:
    """Whether this failure is news, as far as the newest runs tell."""
    earlier = [run for run in past if run.id < run_id]
    failures = [run for run in earlier if run.result in BAD]
    if not earlier:
        return "This is its first run."
    if not failures:
        return f"It had not failed in the {len(earlier)} runs before." if len(earlier) > 1 else ""
    last = failures[0]
    return f"It failed in {len(failures)} of the {len(earlier)} runs before, last in build #{last.number}."
