"""How lines that tell what went wrong look as JSON."""

from changes.builds.models import Build
from changes.results.log_error_models import LogError
from changes.results.log_error_queries import Listed, SeenLine
from changes.web import shapes
from changes.web.shapes import Json


def error(each: LogError) -> Json:
    return {
        "id": each.outside_id.hex,
        "text": each.text,
        "pattern": each.pattern,
        "severity": each.severity.name.lower(),
        "rank": each.rank,
        "builds": each.builds,
        "firstBuild": {"id": each.first_build_id.hex},
        "lastBuild": {"id": each.last_build_id.hex},
        "dateFirstSeen": shapes.when(each.date_first),
        "dateLastSeen": shapes.when(each.date_last),
        "note": each.note,
        "trackerUrl": each.tracker_url or None,
        "notedBy": each.noted_by or None,
        "dateNoted": shapes.when(each.date_noted),
    }


def seen(each: SeenLine) -> Json:
    """A line of a build; `error` is what it is known by."""
    place = each.place
    return {
        "line": each.line.line,
        "firstLine": each.line.begins,
        "text": each.line.text,
        "times": each.line.times,
        "around": {"firstLine": each.around_first, "lines": list(each.around)},
        "isNew": each.is_new,
        "error": error(each.error),
        "job": {"id": place.job_id.hex, "name": place.job, "number": place.job_number},
        "step": {"id": place.step_id.hex, "name": place.step},
        "log": {"id": place.source_id.hex, "name": place.log},
        "link": f"/logs/{place.source_id.hex}/?line={each.line.line}",
    }


def listed(each: Listed) -> Json:
    return {
        **error(each.error),
        "buildsWithin": each.builds,
        "linesWithin": each.lines,
        "lastBuildWithin": {"id": each.last_build_id.hex},
    }


def build_seen(each: tuple[Build, int]) -> Json:
    build, lines = each
    return {
        "id": build.id.hex,
        "number": build.number,
        "name": build.label,
        "target": build.target,
        "result": shapes.enum(build.result),
        "lines": lines,
    }
