"""Patches as they are kept."""

import pytest
from sqlalchemy.orm import Session
from tests import factories

from changes.base.errors import Invalid, NotFound
from changes.base.storage import storage
from changes.projects import patches
from changes.projects.models import Patch, Revision

LARGE = b"diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -0,0 +1,20000 @@\n" + b"+row\r\n" * 20_000


@pytest.fixture
def revision(session: Session) -> Revision:
    return factories.a_source(session, factories.a_project(session)).revision


def test_a_small_patch_lies_in_its_row(session: Session, revision: Revision) -> None:
    patch = patches.save(session, revision, b"+\xff\r\n")

    assert patch.diff == patches.content(session, patch) == b"+\xff\r\n"


def test_equal_large_patches_are_stored_once_and_come_back_as_they_were(
    session: Session, revision: Revision
) -> None:
    one, other = (patches.save(session, revision, LARGE) for _ in range(2))

    assert (one.diff, one.digest, one.added_count) == (None, other.digest, 20_000)
    session.expire_all()
    assert patches.content(session, session.get_one(Patch, one.id)) == LARGE


def test_a_large_patch_that_was_damaged_is_not_given_out(session: Session, revision: Revision) -> None:
    patch = patches.save(session, revision, LARGE)
    storage.get().put(patches.key_of(patch.digest), LARGE[:-1])

    with pytest.raises(NotFound, match="damaged"):
        patches.content(session, patch)


def test_what_says_where_a_patch_is_from_is_an_address(session: Session, revision: Revision) -> None:
    with pytest.raises(Invalid):
        patches.save(session, revision, b"x", url="file:///etc/passwd")
