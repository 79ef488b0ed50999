"""When the steps of a build waited and ran, as rows to draw. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from changes.builds.models import Build, JobStep
from changes.web.pages import phrasing, states
from changes.web.pages.charts import Span
from changes.web.pages.states import state_of
from changes.web.pages.story import label_of


def timeline(build: Build, steps: Sequence[JobStep], now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "label": label_of(step),
            "href": f"/steps/{step.id.hex}/",
            "state": state_of(step.status, step.result),
            "spans": spans(step, build.date_created, now),
        }
        for step in steps
    ]


def length_s(build: Build, now: datetime) -> float:
    return ((build.date_finished or now) - build.date_created).total_seconds()


def spans(step: JobStep, since: datetime, now: datetime) -> list[Span]:
    """Seconds since the build was asked for: waited, then ran."""
    asked_s = max(0.0, (step.date_created - since).total_seconds())
    ended_s = max(asked_s, ((step.date_finished or now) - since).total_seconds())
    began_s = ended_s if step.date_started is None else (step.date_started - since).total_seconds()
    # A machine's clock may be ahead of or behind ours.
    began_s = min(max(began_s, asked_s), ended_s)
    waited = Span(asked_s, began_s, states.WAITING, f"waited {phrasing.duration(began_s - asked_s)}")
    if step.date_started is None:
        return [waited]
    state = state_of(step.status, step.result)
    ran = Span(began_s, ended_s, state, f"{state.word.lower()} after {phrasing.duration(ended_s - began_s)}")
    return [waited, ran]
