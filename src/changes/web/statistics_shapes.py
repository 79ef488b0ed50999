"""Sums of finished work as the API tells them."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from changes.builds.models import JobStep
from changes.results.figures.models import SlowStep
from changes.results.figures.reading import Sums
from changes.web import shapes

MS_PER_S = 1000


def sums(each: Sums) -> dict[str, Any]:
    return {
        "count": each.total,
        "results": {result.name.lower(): count for result, count in sorted(each.counts.items())},
        "passRate": rounded(each.pass_rate, 4),
        "durationP50": rounded(each.took_p50_s),
        "durationP95": rounded(each.took_p95_s),
        "durationMax": each.longest_ms / MS_PER_S,
        "durationTotal": each.took_ms / MS_PER_S,
        "queuedP50": rounded(each.waited_p50_s),
        "queuedP95": rounded(each.waited_p95_s),
    }


def rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)


def days(found: Mapping[date, Sums]) -> list[dict[str, Any]]:
    return [{"day": day.isoformat(), **sums(each)} for day, each in found.items()]


def owners(found: Mapping[UUID, Sums], names: Mapping[UUID, str]) -> list[dict[str, Any]]:
    """Those that took most of all together first."""
    by_cost = sorted(found.items(), key=lambda pair: (-pair[1].took_ms, pair[0]))
    return [{"id": owner.hex, "name": names.get(owner, ""), **sums(each)} for owner, each in by_cost]


def of_week(newer: Sums, older: Sums) -> dict[str, Any]:
    """As the original told it: in percent, and in milliseconds."""
    return {
        "greenPercent": percent(newer),
        "previousGreenPercent": percent(older),
        "avgDuration": newer.took_ms / newer.total if newer.total else None,
        "previousAvgDuration": older.took_ms / older.total if older.total else None,
    }


def percent(sums: Sums) -> int | None:
    return None if sums.pass_rate is None else round(sums.pass_rate * 100)


def slow_step(found: SlowStep, step: JobStep) -> dict[str, Any]:
    build = step.job.build
    return {
        "id": step.id.hex,
        "name": step.label,
        "duration": found.took_ms / MS_PER_S,
        "result": shapes.enum(found.result),
        "job": {"id": step.job_id.hex, "name": step.job.label},
        "build": {"id": build.id.hex, "number": build.number, "project": build.project.slug},
        "node": step.node.label if step.node else None,
        "dateCreated": shapes.when(build.date_created),
    }
