"""The change that each commit and each patch of the demo is a version of."""

from typing import Any
from uuid import UUID

from changes.app.demo.ground import PlacedProject
from changes.app.demo.month import Change
from changes.app.demo.rows import Ids, Rows
from changes.projects import diffs
from changes.projects.models import Change as Lived
from changes.projects.rules import ChangeKind, ChangeState


def life_of(rows: Rows, ids: Ids, placed: PlacedProject, change: Change, author_id: UUID) -> UUID:
    """A patch under review is open; a commit has landed as what it is."""
    change_id, is_commit = ids.at(change.at), not change.review
    rows.add(
        Lived,
        id=change_id,
        date_created=change.at,
        date_modified=change.at,
        repository_id=placed.repository_id,
        project_id=None if is_commit else placed.id,
        kind=ChangeKind.COMMIT if is_commit else ChangeKind.DIFF,
        provider="" if is_commit else "phabricator",
        external_id=change.sha if is_commit else change.target,
        title=change.message.subject,
        message=change.message.text,
        author_id=author_id,
        state=ChangeState.LANDED if is_commit else ChangeState.OPEN,
        landed_sha=change.sha if is_commit else None,
        last_source_number=1,
    )
    return change_id


def vars_of(diff: bytes) -> dict[str, Any]:
    """What is known of a patch besides its bytes."""
    figures = diffs.figures(diff)
    return {
        "size_bytes": len(diff),
        "file_count": figures.files,
        "added_count": figures.added,
        "removed_count": figures.removed,
        "fingerprint": figures.fingerprint,
    }
