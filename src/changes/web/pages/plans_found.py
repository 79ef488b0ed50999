"""The plans a build of this project would run: those stored here, and those in its repository."""

from typing import Any

from changes.base.db import Session
from changes.base.errors import Invalid
from changes.projects import config, queries
from changes.projects.config import PlanConfig
from changes.projects.models import Project, Revision


def of(session: Session, project: Project) -> dict[str, Any]:
    """`revision` is the newest commit that anybody has looked at; None before the first look."""
    revision = queries.newest_revision(session, project.repository)
    in_file, problem = read(revision)
    return {
        "revision": revision,
        "plans_in_file": in_file,
        "problem_in_file": problem,
        "plans_here": queries.active_plans(session, project),
    }


def read(revision: Revision | None) -> tuple[list[PlanConfig], str]:
    if revision is None or not (revision.config or "").strip():
        return [], ""
    try:
        return config.read(revision.config or ""), ""
    except Invalid as error:
        return [], error.message
