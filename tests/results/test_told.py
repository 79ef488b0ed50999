"""Phases that a step tells of when it has ended."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base.errors import Invalid
from changes.builds import copies, told_phases
from changes.builds.models import Build, JobStep
from changes.builds.rules import Origin, Result, Status
from changes.results import collect

TOLD = [
    {"name": "Compile", "retcode": 0, "startTime": 1400000000.5, "endTime": 1400000003},
    {"name": "Check", "retcode": 2},
]


def told(session: Session, content: object) -> tuple[Build, JobStep]:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)
    agents.leave_behind(session, step, json.dumps(content).encode(), "phases.json")
    agents.end(session, step)
    collect.collect_step(step.id)
    return build, step


def test_phases_are_kept_with_the_step_that_told_of_them(session: Session) -> None:
    build, step = told(session, TOLD[:1])

    assert step.data["phases"] == [{"name": "Compile", "return_code": 0, "duration_ms": 2500}]
    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_a_phase_that_failed_fails_the_step(session: Session) -> None:
    build, _ = told(session, TOLD)

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert agents.reasons_of(session, build.id) == ["command_failed"]


def test_another_attempt_tells_of_its_own_phases(session: Session) -> None:
    _, step = told(session, TOLD)

    again = copies.copy_step(session, step, Origin.ASKED, Status.QUEUED)

    assert "phases" not in again.data


COMPLAINTS: list[tuple[Any, str]] = [
    ({}, "it must be a list of at most 500 phases"),
    ([5], "phase 1: it must be a mapping with a name"),
    ([{"name": "a"}, {"name": " "}], "phase 2: it must be a mapping with a name"),
    ([{"name": "a", "retcode": "0"}], "phase 1: retcode must be a whole number"),
    ([{"name": "a", "startTime": 2, "endTime": 1}], "phase 1: startTime and endTime must be seconds"),
    ([{"name": "a", "startTime": "x", "endTime": 1}], "phase 1: startTime and endTime must be seconds"),
    ([{"name": "a"}] * 501, "it must be a list of at most 500 phases"),
]


@pytest.mark.parametrize(("content", "expected"), COMPLAINTS)
def test_what_is_wrong_is_said(content: Any, expected: str) -> None:
    with pytest.raises(Invalid, match=expected):
        told_phases.read(json.dumps(content))


def test_what_cannot_be_read_fails_the_step(session: Session) -> None:
    build, _ = told(session, {"name": "x"})

    assert agents.reasons_of(session, build.id) == ["malformed_artifact"]


@given(st.text(max_size=40))
def test_no_text_at_all_makes_it_stumble(text: str) -> None:
    assert read_or_complaint(text) is not None


def read_or_complaint(text: str) -> object:
    try:
        return told_phases.read(text)
    except Invalid as error:
        return error.message
