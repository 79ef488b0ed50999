"""The change that each commit and each patch of the demo is a version of."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from changes.app.demo.ground import Ground, PlacedProject
from changes.app.demo.month import Change
from changes.app.demo.rows import Ids, Rows
from changes.projects import diffs
from changes.projects.models import Change as Lived
from changes.projects.models import Comment
from changes.projects.rules import ChangeKind, ChangeState, CommentTarget

SAID = (
    "What happens here when two of them arrive at once?\n\nThe test below only ever sends one.",
    "Good point. The next version takes the lock first, and the test sends both.",
)


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


def talk(rows: Rows, ids: Ids, ground: Ground, change: Change, places: tuple[UUID, UUID]) -> None:
    """Every third patch is talked about: a line of it by somebody else, and then all of it by its author."""
    author = ground.users.get(change.author.email)
    others = [user_id for user_id in ground.users.values() if user_id != author]
    if ids.made % 3 or author is None or not others:
        return
    files = diffs.parse(diffs.text_of(change.diff))
    lines = [(file.path, line.new) for file in files for line in file.lines if line.kind == "added"]
    change_id, source_id = places
    said = [
        (others[ids.made % len(others)], CommentTarget.SOURCE, source_id, lines[0] if lines else ("", None)),
        (author, CommentTarget.CHANGE, change_id, ("", None)),
    ]
    for (user_id, target, target_id, (path, line)), text, after_min in zip(said, SAID, (11, 26), strict=True):
        at = change.at + timedelta(minutes=after_min)
        about = {"target": target, "target_id": target_id, "path": path, "line": line, "text": text}
        rows.add(Comment, id=ids.at(at), date_created=at, user_id=user_id, **about)


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
