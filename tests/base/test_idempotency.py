"""A repeated request gets the first answer, and its effect happens once."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, update
from sqlalchemy.orm import Session

from changes.base import db, idempotency
from changes.base.errors import Conflict, Invalid
from changes.base.idempotency import Request, StoredAnswer

REQUEST = Request(asker="token 1", key="k1", digest="of the body")


class Trouble(Exception):
    pass


def test_the_first_has_to_do_the_work(session: Session) -> None:
    assert idempotency.begin(session, REQUEST) is None


def test_the_second_gets_the_first_answer(session: Session) -> None:
    idempotency.begin(session, REQUEST)
    idempotency.finish(session, REQUEST, 201, b"made")

    stored = idempotency.begin(session, REQUEST)

    assert stored is not None
    assert (stored.status, stored.body) == (201, b"made")


def test_a_key_belongs_to_who_used_it(session: Session) -> None:
    idempotency.begin(session, REQUEST)

    assert idempotency.begin(session, Request("token 2", "k1", "of the body")) is None


def test_a_key_may_not_be_used_for_another_request(session: Session) -> None:
    idempotency.begin(session, REQUEST)

    with pytest.raises(Conflict):
        idempotency.begin(session, Request("token 1", "k1", "of another body"))


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_has_a_sensible_length(session: Session, key: str) -> None:
    with pytest.raises(Invalid):
        idempotency.begin(session, Request("token 1", key, "of the body"))


def test_what_failed_may_be_tried_again_with_the_same_key(database: db.Database) -> None:
    with contextlib.suppress(Trouble), db.transaction() as session:
        idempotency.begin(session, REQUEST)
        raise Trouble

    with db.transaction() as session:
        assert idempotency.begin(session, REQUEST) is None


def test_of_many_at_once_one_works_and_the_others_get_its_answer(database: db.Database) -> None:
    def ask(number: int) -> tuple[int | None, bytes | None]:
        with db.transaction() as session:
            stored = idempotency.begin(session, REQUEST)
            if stored is not None:
                return stored.status, stored.body
            answer = f"made by {number}".encode()
            idempotency.finish(session, REQUEST, 201, answer)
            return 201, answer

    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(ask, range(10)))

    assert len(set(answers)) == 1


def test_answers_are_forgotten_after_two_days(session: Session) -> None:
    for key, days in (("young", 1), ("old", 3)):
        idempotency.begin(session, Request("token 1", key, "of the body"))
        born = func.now() - timedelta(days=days)
        session.execute(update(StoredAnswer).where(StoredAnswer.key == key).values(date_created=born))

    assert idempotency.clean(session) == 1
    assert idempotency.begin(session, Request("token 1", "old", "of the body")) is None
    assert idempotency.begin(session, Request("token 1", "young", "of the body")) is not None
