"""How causes of failures, flaky tests and quarantines look as JSON."""

from collections.abc import Mapping

from changes.results import flaky, run_numbers
from changes.results.cause_queries import BuildSeen, CauseSeen
from changes.results.flaky import Bill
from changes.results.models import Test
from changes.results.verdict_models import FailureCause, TestFlakiness, TestQuarantine
from changes.web import shapes
from changes.web.shapes import Json


def cause(each: FailureCause) -> Json:
    return {
        "id": each.outside_id.hex,
        "fingerprint": each.fingerprint,
        "headline": each.headline,
        "place": each.place,
        "verdict": each.verdict or None,
        "note": each.note,
        "trackerUrl": each.tracker_url or None,
        "notedBy": each.noted_by or None,
        "dateNoted": shapes.when(each.date_noted),
        "dateFirstSeen": shapes.when(each.date_first),
    }


def cause_seen(seen: CauseSeen) -> Json:
    return {
        **cause(seen.cause),
        "project": {"id": seen.project.id.hex, "slug": seen.project.slug, "name": seen.project.name},
        "runs": seen.runs,
        "builds": seen.builds,
        "changes": seen.changes,
        "dateLastSeen": shapes.when(seen.date_last),
    }


def build_seen(seen: BuildSeen) -> Json:
    build = seen.build
    return {
        "id": build.id.hex,
        "number": build.number,
        "name": build.label,
        "target": build.target,
        "result": shapes.enum(build.result),
        "runs": seen.runs,
        "dateLastSeen": shapes.when(seen.date_last),
    }


def test(each: Test) -> Json:
    return {"id": each.outside_id.hex, "hash": each.name_sha, "name": each.name, "owner": each.owner}


def flaky_test(each: TestFlakiness, held: Mapping[int, TestQuarantine]) -> Json:
    mine = held.get(each.test_id)
    return {
        "test": test(each.test),
        "score": each.score,
        "evidence": flaky.told(each),
        "runs": each.runs,
        "revisions": each.sources,
        "splitRevisions": each.split_sources,
        "passedAfterRerun": each.passed_again,
        "loneFailures": each.lone_failures,
        "cost": {"reruns": each.reruns, "redBuilds": each.red_builds, "lostMs": each.lost_ms},
        "dateLastSeen": shapes.when(run_numbers.made_at(each.last_run)),
        "quarantine": mine.id.hex if mine else None,
    }


def bill(each: Bill) -> Json:
    return {
        "days": flaky.PERIOD_DAYS,
        "tests": each.tests,
        "reruns": each.reruns,
        "redBuilds": each.red_builds,
        "lostMs": each.lost_ms,
    }


def quarantine(each: TestQuarantine) -> Json:
    return {
        "id": each.id.hex,
        "test": test(each.test),
        "owner": each.owner,
        "reason": each.reason,
        "createdBy": each.created_by,
        "dateCreated": shapes.when(each.date_created),
        "dateExpires": shapes.when(each.date_expires),
        "passesNeeded": each.passes_needed,
        "dateEnded": shapes.when(each.date_ended),
        "endedBy": each.ended_by or None,
        "endedWhy": each.ended_why or None,
    }
