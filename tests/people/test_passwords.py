import pytest
from argon2 import PasswordHasher
from sqlalchemy.orm import Session
from tests import factories

from changes.base import clock
from changes.base.errors import Forbidden, Invalid
from changes.people import passwords

PASSWORD = "correct horse battery"


def test_a_password_lets_its_owner_in_and_is_kept_nowhere(session: Session) -> None:
    olga = factories.olga(session)

    passwords.set_password(olga, PASSWORD)

    assert passwords.check(session, f" {olga.email.upper()} ", PASSWORD) is olga
    assert PASSWORD not in str(olga.password_hash)
    assert str(olga.password_hash).startswith("$argon2id$")


def test_whatever_is_wrong_the_words_are_the_same(session: Session) -> None:
    without, with_one, disabled = (factories.olga(session) for _ in range(3))
    for user in (with_one, disabled):
        passwords.set_password(user, PASSWORD)
    disabled.date_disabled = clock.now()
    wrong = [
        (without.email, PASSWORD),
        (with_one.email, "another password"),
        (disabled.email, PASSWORD),
        ("nobody@example.com", PASSWORD),
        ("", ""),
    ]

    for email, password in wrong:
        with pytest.raises(Forbidden, match=passwords.WRONG):
            passwords.check(session, email, password)


def test_an_unknown_user_costs_as_much_work_as_a_known_one(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes: list[str] = []

    def note(password_hash: str, password: str) -> bool:
        hashes.append(password_hash)
        return False

    monkeypatch.setattr(passwords, "is_match", note)

    with pytest.raises(Forbidden):
        passwords.check(session, "nobody@example.com", PASSWORD)

    [password_hash] = hashes
    assert not passwords.hasher.check_needs_rehash(password_hash)


@pytest.mark.parametrize("password", ["", "short", "x" * 9, "x" * 1001, "aaaaaaaaaaaa", "olga@example.com"])
def test_what_is_easy_to_guess_is_refused(session: Session, password: str) -> None:
    olga = factories.olga(session)
    olga.email = "olga@example.com"

    with pytest.raises(Invalid) as refused:
        passwords.set_password(olga, password)

    assert refused.value.problems == ["password"]
    assert olga.password_hash is None


def test_a_hash_of_old_cost_is_made_anew_when_its_owner_comes(session: Session) -> None:
    olga = factories.olga(session)
    olga.password_hash = PasswordHasher(time_cost=1, memory_cost=64).hash(PASSWORD)

    passwords.check(session, olga.email, PASSWORD)

    assert not passwords.hasher.check_needs_rehash(olga.password_hash)


def test_nonsense_in_place_of_a_hash_lets_nobody_in(session: Session) -> None:
    olga = factories.olga(session)
    olga.password_hash = "nonsense"

    with pytest.raises(Forbidden):
        passwords.check(session, olga.email, PASSWORD)


def test_only_who_knows_the_present_password_changes_it(session: Session) -> None:
    olga = factories.olga(session)
    passwords.require_own(olga, "there is none yet")
    passwords.set_password(olga, PASSWORD)

    passwords.require_own(olga, PASSWORD)
    with pytest.raises(Invalid):
        passwords.require_own(olga, "wrong")
