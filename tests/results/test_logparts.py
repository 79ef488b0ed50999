"""Parts of stored logs, wherever the chunks end."""

import pytest
from sqlalchemy.orm import Session
from tests.factories import a_build, steps_of
from tests.finished import print_to
from tests.results.log_texts import BLOB, MOMENT_MS, PACKED, PLAIN, a_log, a_log_of

from changes.builds.models import JobStep
from changes.results import logparts, logs

PRINTED = b"one\ntwo\nthree\nfour\n"


@pytest.fixture
def step(session: Session) -> JobStep:
    return steps_of(session, a_build(session))[0]


@pytest.mark.parametrize(
    ("offset", "limit", "wanted"),
    [
        (4, 5, b"two\nthree\n"),
        (5, 3, b"wo\n"),
        (0, 100, PRINTED),
        (100, 5, b""),
        (-1, 5, b"four\n"),
        (-1, 6, b"three\nfour\n"),
        (-1, 100, PRINTED),
    ],
)
def test_parts_begin_where_they_shall_and_end_with_a_line(
    session: Session, offset: int, limit: int, wanted: bytes
) -> None:
    source = a_log(session, PRINTED)

    found = logparts.parts(session, source, offset=offset, limit=limit)

    assert b"".join(part.data for part in found) == wanted


@pytest.mark.parametrize("chunk", [1, 3, 5])
def test_part_after_part_is_the_whole(session: Session, step: JobStep, chunk: int) -> None:
    print_to(session, step, PRINTED, chunk=chunk)
    source = logs.source_of_step(session, step.id, "console")

    read = b""
    while found := logparts.parts(session, source, offset=len(read), limit=4):
        read += b"".join(part.data for part in found)

    assert read == PRINTED


@pytest.mark.parametrize("form", [PLAIN, PACKED, BLOB])
def test_parts_know_when_they_were_read(session: Session, form: str) -> None:
    source = a_log_of(session, PRINTED, [(8, form), (6, form)])

    found = logparts.parts(session, source, offset=4, limit=6)

    assert [part.data for part in found] == [b"two\n", b"three\n"]
    assert [part.times for part in found][1] == [8, MOMENT_MS + 8000]


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_the_ends_of_several_consoles_come_together(session: Session, chunk: int) -> None:
    steps = steps_of(session, a_build(session, plans=2))
    for each in steps:
        print_to(session, each, PRINTED, chunk=chunk)
    print_to(session, steps[0], b"something else", "kernel")

    tails = logparts.console_tails(session, [each.id for each in steps], bytes_max=5)

    assert tails == {each.id: b"four\n" for each in steps}


def test_a_step_that_printed_nothing_has_no_end(session: Session, step: JobStep) -> None:
    assert logparts.console_tails(session, [step.id], bytes_max=5) == {}
