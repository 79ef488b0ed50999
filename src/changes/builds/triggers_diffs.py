"""Patches that somebody sent for review: which projects build them. Whoever takes them in calls this."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from changes.base import ids
from changes.base.process import settings
from changes.builds import triggers, triggers_wishes, trust
from changes.builds.models import Build
from changes.builds.triggers import Moment
from changes.builds.triggers_rules import Kind, Occasion
from changes.projects import diffs, options, patches, queries
from changes.projects.models import Project, Source

FILES_MAX = 100_000


def consider_patch(
    session: Session,
    source: Source,
    projects: Sequence[Project],
    told: Mapping[str, Any],
    tags: Sequence[str] = ("phabricator",),
) -> list[Build]:
    """`told` has `label` and `target`, as reviewers know it. Told twice, it is built once."""
    if source.patch is None:
        raise ValueError("only a patch can be considered as one")
    text = diffs.text_of(patches.content(session, source.patch))
    files = tuple(sorted(diffs.changed_files(diffs.parse(text))))[:FILES_MAX]
    together, built = ids.new(), []
    for project in projects:
        who = queries.options(session, project).get(options.TRUSTED_PATCHES, "")
        moment = Moment(
            what=Occasion(Kind.DIFF, tuple(source.revision.branches), files=files),
            source=source,
            key=source.id.hex,
            tags=tuple(tags),
            label=str(told.get("label", "")),
            target=str(told.get("target", "")),
            collection_id=together,
            is_trusted=trust.is_trusted(has_patch=True, has_rights=False, who=who),
            timeout_min=settings.get().default_job_timeout_min,
        )
        wishes = triggers_wishes.of_source(session, project, source)
        decided = triggers.consider(session, project, wishes, moment)
        if decided is not None and decided.build is not None:
            built.append(decided.build)
    return built
