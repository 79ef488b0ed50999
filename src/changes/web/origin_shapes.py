"""How searches for what broke a test look as JSON."""

from changes.results.origin_models import OriginSearch
from changes.results.origin_queries import Made, PlaceSeen
from changes.results.origin_rules import AGAIN_MAX
from changes.results.origin_search import Plan
from changes.web import shapes
from changes.web.shapes import Json


def search(each: OriginSearch, made: Made) -> Json:
    return {
        "id": each.id.hex,
        "project": {"id": each.project_id.hex, "slug": each.project.slug},
        "test": {"id": each.test.outside_id.hex, "name": each.test.name, "hash": each.test.name_sha},
        "state": shapes.enum(each.state),
        "good": each.good_sha,
        "bad": each.bad_sha,
        "culprit": each.culprit_sha,
        "why": each.why,
        "plan": each.plan,
        "parallel": each.parallel,
        "isElsewhere": each.is_told,
        "builds": made.builds,
        "lostBuilds": made.lost,
        "lostMs": each.lost_ms,
        "dateCreated": shapes.when(each.date_created),
        "dateFinished": shapes.when(each.date_finished),
    }


def place(each: PlaceSeen) -> Json:
    return {
        "sha": each.sha,
        "subject": each.subject,
        "verdict": shapes.enum(each.verdict),
        "build": each.number,
        "isOfSearch": each.is_ours,
        "lostBuilds": each.lost_builds,
        "why": each.why,
    }


def plan(each: Plan) -> Json:
    shas = each.line.shas
    return {
        "good": shas[0],
        "bad": shas[-1],
        "plan": each.line.where.plan,
        "commits": len(shas) - 2,
        "unknown": each.unknown,
        "isKnown": each.is_known,
        "isElsewhere": each.line.where.is_told,
        "whyNot": each.why_not,
        "builds": each.cost.builds,
        "rounds": each.cost.rounds,
        "againWhereLost": AGAIN_MAX,
        "minutes": each.cost.minutes(each.usual_ms),
        "waitMinutes": each.cost.wait_minutes(each.usual_ms),
    }
