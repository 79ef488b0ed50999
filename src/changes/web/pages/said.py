"""What a page with comments needs: them, and what whoever reads it may do about them."""

from collections.abc import Collection, Sequence
from typing import Any

from changes.builds.anatomy import Opened
from changes.builds.models import Job
from changes.people.rules import Scope
from changes.projects import comments
from changes.projects.models import Comment
from changes.projects.rules import CommentTarget
from changes.web.call import Call


def of_build(this: Call, found: Opened, jobs: Collection[Job]) -> dict[str, Any]:
    """Of it and of its jobs."""
    ids = {CommentTarget.BUILD: [found.build.id], CommentTarget.JOB: [job.id for job in jobs]}
    return {
        **shown(this, comments.of_all(this.session, ids) if found.is_talked_about else []),
        "job_labels": {job.id: f"of {job.label}" for job in jobs},
        "job_choices": [(job.id.hex, job.label) for job in jobs],
    }


def shown(this: Call, said: Sequence[Comment]) -> dict[str, Any]:
    is_admin, user_id = this.caller.scope == Scope.ADMIN, this.caller.user_id
    mine = {each.id for each in said if comments.may_take_back(each, user_id, is_admin=is_admin)}
    may_speak = user_id is not None and this.caller.scope in (Scope.WRITE, Scope.ADMIN)
    return {"said": said, "mine": mine, "may_speak": may_speak}
