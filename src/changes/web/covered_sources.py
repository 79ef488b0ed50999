"""A source with the coverage of the lines that it adds, as the original told it."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from changes.projects import versions
from changes.projects.models import Source
from changes.results.coverage import marks, patch, queries
from changes.web.call import Call
from changes.web.params import Flag, Parameters
from changes.web.shapes import Json


class SourceAsked(Parameters):
    coverage: Annotated[
        Flag, Field(description="with that of its newest build, for the files it changes")
    ] = False


def told(this: Call, source: Source, asked: SourceAsked, project_id: UUID | None = None) -> Json:
    """Where no build of it has coverage, that of no file."""
    if not asked.coverage:
        return {}
    build = queries.newest_of_source(this.session, source.id, project_id)
    if build is None:
        return {"coverage": {}, "coverageForAddedLines": []}
    files = versions.diff_of(this.session, source)
    found = marks.of_build(this.session, build.project_id, build.id, [file.path for file in files])
    return {
        "coverage": {path: each.codes() for path, each in found.items()},
        "coverageForAddedLines": patch.codes_of_added(files, found),
    }
