"""Credentials of repositories: kept sealed, opened for those who read, fit for their server only."""

import subprocess
from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from tests import factories

from changes.base.errors import Invalid
from changes.projects import credentials, mirrors, ssh_keys
from changes.projects.credentials import Given
from changes.projects.models import Repository, RepositoryCredential
from changes.vcs.interface import Credentials

HTTPS, SSH = "https://example.com/a.git", "ssh://git@example.com/a.git"


@pytest.fixture(scope="module")
def key() -> str:
    return ssh_keys.new_private_key()


def opened(session: Session, repository: Repository) -> Credentials | None:
    session.expire_all()
    return credentials.opened(session, repository)


def test_a_password_comes_back_only_for_whoever_reads(session: Session) -> None:
    repository = factories.a_repository(session, HTTPS)

    kept = credentials.keep(session, repository, Given(username="zoe", password="hunter2"))

    assert opened(session, repository) == Credentials(username="zoe", password="hunter2")
    assert b"hunter2" not in kept.sealed
    assert "hunter2" not in repr(Given(password="hunter2"))


def test_the_mirror_of_a_repository_gets_them(session: Session) -> None:
    repository = factories.a_repository(session, HTTPS)
    credentials.keep(session, repository, Given(password="hunter2"))

    assert mirrors.credentials_of(repository, session) == Credentials(password="hunter2")


@pytest.mark.parametrize("url", [SSH, "git@example.com:a.git"])
def test_a_key_tells_its_public_half(session: Session, url: str, key: str) -> None:
    repository = factories.a_repository(session, url)

    kept = credentials.keep(session, repository, Given(ssh_key=key, known_hosts="example.com ssh-rsa AA\n"))

    assert kept.public_key == ssh_keys.public_key_of(key)
    assert kept.server == "ssh://example.com"
    assert opened(session, repository) == Credentials(ssh_key=key, known_hosts="example.com ssh-rsa AA")


def test_a_key_that_is_made_here_is_a_new_one(session: Session) -> None:
    repository = factories.a_repository(session, SSH)

    first = credentials.keep(session, repository, Given(makes_key=True)).public_key
    second = credentials.keep(session, repository, Given(makes_key=True)).public_key

    assert first.startswith("ssh-ed25519 ")
    assert first != second


def test_another_server_does_not_get_them(session: Session) -> None:
    repository = factories.a_repository(session, HTTPS)
    credentials.keep(session, repository, Given(password="hunter2"))

    repository.url = "https://thief.example.com/a.git"
    session.flush()

    assert opened(session, repository) is None


def test_another_path_of_the_same_server_does(session: Session) -> None:
    repository = factories.a_repository(session, HTTPS)
    credentials.keep(session, repository, Given(password="hunter2"))

    repository.url = "https://Example.com/b.git"
    session.flush()

    assert opened(session, repository) is not None
    assert credentials.for_address(session, repository, "https://example.com/c") is not None
    assert credentials.for_address(session, repository, "http://example.com/c") is None


def test_a_sealed_password_moved_into_another_row_opens_nothing(session: Session) -> None:
    mine, other = (factories.a_repository(session, f"{HTTPS}{number}") for number in (1, 2))
    kept = credentials.keep(session, mine, Given(password="hunter2"))
    session.add(
        RepositoryCredential(repository_id=other.id, server=kept.server, sealed=kept.sealed, username="")
    )
    session.flush()

    with pytest.raises(Exception, match="cannot be opened"):
        opened(session, other)


def test_what_was_dropped_is_gone(session: Session) -> None:
    repository = factories.a_repository(session, HTTPS)
    credentials.keep(session, repository, Given(password="hunter2"))

    assert credentials.drop(session, repository)
    assert not credentials.drop(session, repository)
    assert opened(session, repository) is None


@pytest.mark.parametrize(
    ("url", "given", "field"),
    [
        (HTTPS, Given(), "password"),
        (HTTPS, Given(makes_key=True), "ssh_key"),
        (SSH, Given(password="x"), "password"),
        (HTTPS, Given(password="two\nlines"), "password"),
        (HTTPS, Given(username="two\nlines", password="x"), "username"),
        (HTTPS, Given(password="x" * 5000), "password"),
        (SSH, Given(ssh_key="no key"), "ssh_key"),
        (SSH, Given(ssh_key="x" * 20_000), "ssh_key"),
        (SSH, Given(makes_key=True, ssh_key="both"), "password"),
        (SSH, Given(makes_key=True, known_hosts="half"), "known_hosts"),
        ("/srv/a", Given(password="x"), "password"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(session: Session, url: str, given: Given, field: str) -> None:
    repository = factories.a_repository(session, url)

    with pytest.raises(Invalid) as caught:
        credentials.keep(session, repository, given)

    assert caught.value.problems == [field]
    assert credentials.of(session, repository) is None


def made_by_ssh_keygen(folder: Path, *options: str) -> str:
    subprocess.run(["ssh-keygen", "-q", *options, "-f", folder / "key"], check=True, timeout=60)
    return (folder / "key").read_text()


@pytest.mark.packages
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-t", "ed25519", "-N", "secret"), "has a passphrase"),
        (("-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "secret"), "has a passphrase"),
        (("-t", "rsa", "-b", "1024", "-N", ""), "needs 2048 bits"),
    ],
)
def test_a_key_nobody_should_use_is_refused_in_words(
    tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        ssh_keys.public_key_of(made_by_ssh_keygen(tmp_path, *options))


@pytest.mark.packages
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_keys_of_every_kind_tell_their_public_half(tmp_path: Path, kind: str) -> None:
    key = made_by_ssh_keygen(tmp_path, "-t", kind, "-N", "")

    expected = (tmp_path / "key.pub").read_text().split()[:2]
    assert ssh_keys.public_key_of(key.replace("\n", "\r\n")).split() == expected
