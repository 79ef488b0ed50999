"""Caches between builds: by key, for ever the same, and apart for those who are not trusted."""

import hashlib

import pytest
from sqlalchemy.orm import Session
from tests.builds.kept import CONTENT, a_build_of, a_cache, held_by, send
from tests.factories import a_plan, a_project, a_source, steps_of

from changes.base.errors import Conflict, Invalid, NotFound, TooLarge
from changes.builds import blobs, caches
from changes.builds.blobs import Holder, OffsetExpected, Part
from changes.builds.models import Build
from changes.projects import options
from changes.projects.models import Project
from changes.protocol import PART_MAX_BYTES, CacheAsk, CacheSave

pytestmark = pytest.mark.usefixtures("settings")
MEGABYTE = 2**20
PATCH = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"


@pytest.fixture
def project(session: Session) -> Project:
    project = a_project(session)
    a_plan(session, project, {"commands": ["make test"]})
    return project


def strangers_build(session: Session, project: Project, patch: bytes = PATCH) -> Build:
    return a_build_of(session, project, source=a_source(session, project, patch=patch), is_trusted=False)


def found(session: Session, build: Build, key: str, *restore_keys: str) -> str:
    holder = held_by(session, steps_of(session, build)[0])
    return caches.find(session, holder, CacheAsk(key=key, restore_keys=list(restore_keys))).key


def test_a_cache_is_found_by_its_key(session: Session, project: Project) -> None:
    a_cache(session, a_build_of(session, project), "deps-1")

    assert found(session, a_build_of(session, project), "deps-1") == "deps-1"
    assert found(session, a_build_of(session, project), "deps-2") == ""


def test_the_newest_with_the_first_beginning_that_fits_will_do(session: Session, project: Project) -> None:
    for key in ("deps-a-1", "deps-a-2", "deps-b-1", "deps%"):
        a_cache(session, a_build_of(session, project), key)

    assert found(session, a_build_of(session, project), "deps-a-3", "deps-a-", "deps-") == "deps-a-2"
    assert found(session, a_build_of(session, project), "new", "d_ps", "deps%") == "deps%"


def test_a_key_that_is_there_never_changes(session: Session, project: Project) -> None:
    first = a_cache(session, a_build_of(session, project), "deps", b"first")

    again = a_cache(session, a_build_of(session, project), "deps", b"second")

    assert again.sha256 == first.sha256


def test_what_an_untrusted_build_wrote_a_trusted_one_never_reads(session: Session, project: Project) -> None:
    entry = a_cache(session, strangers_build(session, project), "deps-1")
    trusted = a_build_of(session, project)

    assert found(session, trusted, "deps-1", "deps-", "") == ""
    assert not caches.may_read(session, trusted, entry.sha256)


def test_an_untrusted_build_never_replaces_what_a_trusted_one_wrote(
    session: Session, project: Project
) -> None:
    good = a_cache(session, a_build_of(session, project), "deps", b"good")
    a_cache(session, strangers_build(session, project), "deps", b"bad")

    holder = held_by(session, steps_of(session, a_build_of(session, project))[0])
    assert caches.find(session, holder, CacheAsk(key="deps")).sha256 == good.sha256


def test_untrusted_builds_read_their_own_first_and_then_the_trusted(
    session: Session, project: Project
) -> None:
    a_cache(session, a_build_of(session, project), "deps-good")
    stranger = strangers_build(session, project)

    assert found(session, stranger, "deps-x", "deps-") == "deps-good"

    a_cache(session, stranger, "deps-own")
    again = a_build_of(session, project, source=stranger.source, is_trusted=False)
    assert found(session, again, "deps-x", "deps-") == "deps-own"


def test_strangers_do_not_read_each_others(session: Session, project: Project) -> None:
    a_cache(session, strangers_build(session, project), "deps")

    assert found(session, strangers_build(session, project, PATCH + b" c\n"), "deps") == ""


def test_projects_do_not_read_each_others(session: Session, project: Project) -> None:
    a_cache(session, a_build_of(session, project), "deps")
    other = a_project(session)
    a_plan(session, other, {"commands": ["make test"]})

    assert found(session, a_build_of(session, other), "deps") == ""


def test_what_was_used_longest_ago_goes_first(session: Session, project: Project) -> None:
    options.change(session, project, {"cache.limit": "1"})
    half = MEGABYTE // 2 - 10
    for number in (1, 2):
        a_cache(session, a_build_of(session, project), f"deps-{number}", bytes([number]) * half)
    found(session, a_build_of(session, project), "deps-1")

    a_cache(session, a_build_of(session, project), "deps-3", b"3" * half)

    assert sorted(each.key for each in caches.of(session, project)) == ["deps-1", "deps-3"]


def test_one_that_is_too_large_is_refused_and_displaces_nothing(session: Session, project: Project) -> None:
    options.change(session, project, {"cache.limit": "1"})
    a_cache(session, a_build_of(session, project), "deps")

    with pytest.raises(TooLarge, match="1 MB"):
        a_cache(session, a_build_of(session, project), "huge", b"x" * (MEGABYTE + 1))

    assert [each.key for each in caches.of(session, project)] == ["deps"]


def test_strangers_displace_only_what_strangers_wrote(session: Session, project: Project) -> None:
    options.change(session, project, {"cache.limit": "1"})
    a_cache(session, a_build_of(session, project), "good", b"x" * MEGABYTE)

    for number in range(3):
        a_cache(session, strangers_build(session, project), f"bad-{number}", bytes([number]) * 200_000)

    assert sorted(each.key for each in caches.of(session, project)) == ["bad-2", "good"]


def test_nobody_saves_what_he_has_not_sent_himself(session: Session, project: Project) -> None:
    known = a_cache(session, a_build_of(session, project), "deps").sha256
    thief = held_by(session, steps_of(session, strangers_build(session, project))[0])

    with pytest.raises(Conflict, match="has not sent"):
        caches.save(session, thief, CacheSave(key="mine", sha256=known))


def test_bytes_with_another_digest_are_refused_and_begin_anew(session: Session, project: Project) -> None:
    holder = held_by(session, steps_of(session, a_build_of(session, project))[0])

    with pytest.raises(Conflict, match="another digest"):
        blobs.store_part(session, holder, Part("0" * 64, 3, 0, b"abc"))

    with pytest.raises(OffsetExpected) as told:
        blobs.store_part(session, holder, Part("0" * 64, 3, 1, b"bc"))
    assert told.value.offset == 0


def test_parts_are_put_together_and_read_from_anywhere(session: Session, project: Project) -> None:
    holder = held_by(session, steps_of(session, a_build_of(session, project))[0])
    data = bytes(range(256)) * (PART_MAX_BYTES // 256) + b"the end"
    sha256 = hashlib.sha256(data).hexdigest()
    first = Part(sha256, len(data), 0, data[:PART_MAX_BYTES])
    assert blobs.store_part(session, holder, first) == PART_MAX_BYTES
    with pytest.raises(OffsetExpected) as told:
        blobs.store_part(session, holder, first)
    rest = Part(sha256, len(data), told.value.offset, data[PART_MAX_BYTES:])
    blobs.store_part(session, holder, rest)

    read = b"".join(blobs.read(session, sha256, PART_MAX_BYTES - 3))

    assert read == data[PART_MAX_BYTES - 3 :]


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63])
def test_what_is_no_digest_is_refused(session: Session, project: Project, digest: str) -> None:
    holder = held_by(session, steps_of(session, a_build_of(session, project))[0])

    with pytest.raises(Invalid, match="64 hexadecimal"):
        blobs.store_part(session, holder, Part(digest, 3, 0, b"abc"))


def test_a_step_that_another_machine_holds_is_not_spoken_for(session: Session, project: Project) -> None:
    step = steps_of(session, a_build_of(session, project))[0]
    held_by(session, step)

    with pytest.raises(NotFound):
        caches.find(session, Holder(step.id, step.project_id), CacheAsk(key="deps"))


def test_all_with_one_beginning_are_removed(session: Session, project: Project) -> None:
    for key in ("deps-1", "deps-2", "other"):
        a_cache(session, a_build_of(session, project), key)

    assert caches.drop_all(session, project, "deps-") == 2
    assert [each.key for each in caches.of(session, project)] == ["other"]


def test_the_same_bytes_are_kept_once(session: Session, project: Project) -> None:
    one = a_cache(session, a_build_of(session, project), "one", CONTENT)
    two = a_cache(session, a_build_of(session, project), "two", CONTENT)

    assert (
        one.sha256
        == two.sha256
        == send(session, held_by(session, steps_of(session, a_build_of(session, project))[0]))
    )
