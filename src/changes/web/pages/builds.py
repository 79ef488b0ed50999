"""One build: how it ended, why it is not green, and everything it ran."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base import clock
from changes.base.db import Session
from changes.base.errors import NotFound
from changes.base.paging import Page
from changes.base.process import settings
from changes.builds import anatomy, around, config_preview, second_look, told_phases, waiting
from changes.builds.anatomy import Anatomy, Opened
from changes.builds.around import Around
from changes.builds.models import Build
from changes.builds.rules import Result, Status, is_to_repeat
from changes.projects import queries as projects
from changes.results import against_base, causes, logparts, suite, testruns
from changes.results.against_base import Compared, News
from changes.results.coverage import queries as coverage
from changes.web import call
from changes.web.pages import (
    covered_lines,
    drawing,
    logview,
    queue_words,
    said,
    states,
    story,
    timelines,
    told,
)
from changes.web.paging import DIGITS_MAX, whole_number

pages = APIRouter()
TESTS_SHOWN = 25
STEPS_SHOWN = 100
TIMELINE_ROWS = 40
# A green build of more steps than this hides its timeline behind a click.
TIMELINE_CALM_ROWS = 12
TAILS_SHOWN = 3
TAIL_BYTES = 16 * 1024
BAD = (Result.FAILED, Result.INFRA_FAILED)
# How each kind of failure is shown: its word, its colour, and what it means.
NEWS_WORDS = {
    News.NEW: ("new", "failed", "It did not fail in the build that this one is compared with"),
    News.STILL: ("still failing", "quiet", "It failed in the build that this one is compared with"),
    News.FLAKY: ("flaky", "quarantined", "It is new here, but lately it passed only when it was run again"),
}


@pages.get("/projects/{slug}/builds/{reference}/")
def show_build(request: Request, slug: str, reference: str) -> Response:
    page = Page(whole_number(request, "steps", 1) or 1, STEPS_SHOWN)
    with call.reading(request) as this:
        found = find(this.session, slug, reference)
        build, now = found.build, clock.now()
        ran = anatomy.anatomy(this.session, build, page)
        near = around.around(this.session, build)
        values = {
            **frame_of(build),
            "waiting": what_it_waits_for(this.session, ran),
            "whys": found.current,
            "notes": found.notes,
            "lost": {why.step_id: why.text for why in found.whys if why.is_replaced},
            "estimate": story.estimate(build, now),
            "advice": story.advice(build),
            **what_stands_around(found, near),
            **what_may_be_repeated(found, ran),
            **what_ran(build, ran, page),
            **what_it_said(this.session, build, near),
            "checked": being_checked(ran),
            "tails": tails(this.session, ran),
            "happenings": story.happenings(build, [each.step for each in ran.steps], found.whys),
            **said.of_build(this, found, [each.job for each in ran.jobs]),
        }
        return drawing.page(request, "build.html", values)


def find(session: Session, slug: str, reference: str) -> Opened:
    found = None
    if reference.isdecimal() and len(reference) <= DIGITS_MAX:
        found = anatomy.opened(session, slug, int(reference))
    elif is_id(reference):
        found = anatomy.opened(session, slug, UUID(reference))
    if found is None:
        project = projects.project(session, slug)
        raise NotFound(f"The project {project.slug} has no such build.")
    return found


def is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def frame_of(build: Build) -> dict[str, Any]:
    """What head and tabs of every page of a build need."""
    return {
        "build": build,
        "project": build.project,
        "build_url": f"/projects/{build.project.slug}/builds/{build.number}/",
    }


def what_stands_around(found: Opened, near: Around) -> dict[str, Any]:
    """Where it comes from, its neighbours, and what its source changes of the plans."""
    build = found.build
    return {
        "cause": story.cause(build, near),
        "redness": story.redness(build, near),
        "around": near,
        "family": story.of_family([build, *near.family]),
        "preview": config_preview.shown(found),
    }


def what_it_waits_for(session: Session, ran: Anatomy) -> str | None:
    """Of its steps the one that waits longest stands for all."""
    steps = sorted((each.step for each in ran.steps), key=lambda step: step.id)
    pending = next((step for step in steps if step.status == Status.PENDING_ALLOCATION), None)
    if pending is not None:
        told = waiting.explain(session, pending, silence_s=settings.get().node_silence_max_s)
        return queue_words.why_and_when(told)
    if any(second_look.is_checking(step) for step in steps):
        return waiting.CHECKING
    is_read = any(step.status == Status.COLLECTING_RESULTS for step in steps)
    return waiting.READING if is_read else None


def being_checked(ran: Anatomy) -> set[str]:
    """Tests that failed newly and are run again alone: what they are is not known yet."""
    found = (second_look.checked(each.step) for each in ran.steps if second_look.is_checking(each.step))
    return {name for each in found if each is not None for name in each.tests}


def what_may_be_repeated(found: Opened, ran: Anatomy) -> dict[str, Any]:
    """Steps that did not pass stand on the first page; what ran elsewhere is done again there."""
    has_failed = any(
        each.step.is_finished and each.step.replacement_id is None and is_to_repeat(each.step.result)
        for each in ran.steps
    )
    return {"outside": found.outside, "may_repeat": has_failed and found.outside is None}


def what_ran(build: Build, ran: Anatomy, page: Page) -> dict[str, Any]:
    steps, now = [each.step for each in ran.steps], clock.now()
    shown = timelines.timeline(build, sorted(steps, key=lambda step: step.id)[:TIMELINE_ROWS], now)
    is_calm = build.is_finished and build.result == Result.PASSED
    return {
        "jobs": sorted(ran.jobs, key=lambda seen: (seen.job.result not in BAD, seen.job.number)),
        "steps_page": page.number,
        "step_count": ran.step_count,
        "told_phases": told_phases.of,
        "has_more_steps": ran.step_count > page.offset + page.size,
        "timeline": shown,
        "timeline_open": not (is_calm and len(steps) > TIMELINE_CALM_ROWS),
        "total_s": timelines.length_s(build, now),
    }


def what_it_said(session: Session, build: Build, near: Around) -> dict[str, Any]:
    """Its tests, its logs, its steps."""
    tests = what_tests_said(session, build)
    has_failed_tests = tests["failed_count"] > 0
    shown = told.of_build(session, build, near.base, has_failed_tests=has_failed_tests)
    return {**tests, "told": shown, **what_ran_of_the_code(session, build)}


def what_ran_of_the_code(session: Session, build: Build) -> dict[str, Any]:
    return {"coverage": coverage.of_build(session, build), "coverage_states": covered_lines.STATES}


def what_tests_said(session: Session, build: Build) -> dict[str, Any]:
    counts = testruns.counts_of_build(session, build.id)
    failed_count = counts.get(Result.FAILED, 0)
    compared = against_base.compare(session, build) if failed_count else Compared(None)
    new = compared.of_kind(News.NEW)
    failed = suite.failures(session, build.id, limit=TESTS_SHOWN, first=new) if failed_count else []
    return {
        "base": compared.base,
        "news": {test_id: NEWS_WORDS[kind] for test_id, kind in compared.news.items()},
        "new_count": len(new),
        "is_compared_cut": compared.is_cut,
        "compared_max": against_base.FAILURES_MAX,
        "test_parts": [(states.OF_RESULT[result], counts[result]) for result in sorted(counts)],
        "test_count": sum(counts.values()),
        "failed_count": failed_count,
        "failed": [(seen, story.excerpt(seen.message)) for seen in failed],
        "verdicts": causes.VERDICTS,
        "held_count": counts.get(Result.QUARANTINED_FAILED, 0),
        "sentence": story.sentence(build, counts, clock.now()),
    }


def tails(session: Session, ran: Anatomy) -> list[dict[str, Any]]:
    """The end of what the failing steps printed: where most readers would click next."""
    failing = [
        each.step for each in ran.steps if each.step.result in BAD and each.step.replacement_id is None
    ][:TAILS_SHOWN]
    if not failing:
        return []
    ends = logparts.console_tails(session, [step.id for step in failing], bytes_max=TAIL_BYTES)
    return [
        {"step": step, "lines": logview.tail(ends[step.id], is_whole=len(ends[step.id]) < TAIL_BYTES)}
        for step in failing
        if ends.get(step.id)
    ]
