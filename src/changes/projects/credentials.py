"""How to enter a repository: sealed when it is kept, opened where it is used, never shown."""

import json
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from changes.base import clock, secrets
from changes.base.errors import Invalid
from changes.projects import ssh_keys
from changes.projects.models import Repository, RepositoryCredential
from changes.projects.rules import RepositoryBackend
from changes.vcs.interface import Credentials

PASSWORD_MAX_CHARS = 4096
KNOWN_HOSTS_MAX_CHARS = 64 * 1024
KNOWN_HOST_MIN_WORDS = 3


@dataclass(frozen=True)
class Given:
    """Either a password or a key; `makes_key` has us make one, of which nobody ever sees the secret half."""

    username: str = ""
    password: str = field(default="", repr=False)
    ssh_key: str = field(default="", repr=False)
    makes_key: bool = False
    known_hosts: str = ""
    is_shared: bool = False


def of(session: Session, repository: Repository) -> RepositoryCredential | None:
    return session.get(RepositoryCredential, repository.id)


def keep(session: Session, repository: Repository, given: Given) -> RepositoryCredential:
    """In place of what was there."""
    refuse_unfit(repository, given)
    ssh_key = ssh_keys.new_private_key() if given.makes_key else given.ssh_key
    server = server_of(repository.url)
    found = of(session, repository) or RepositoryCredential(repository_id=repository.id)
    found.server = server
    found.username = given.username.strip()
    found.public_key = ssh_keys.public_key_of(ssh_key) if ssh_key else ""
    found.known_hosts = given.known_hosts.strip() if ssh_key else ""
    found.is_shared = given.is_shared
    found.date_modified = clock.now()
    secret = json.dumps({"password": given.password, "ssh_key": ssh_key})
    found.sealed = secrets.seal(secret, purpose(repository, server))
    session.add(found)
    session.flush()
    return found


def drop(session: Session, repository: Repository) -> bool:
    gone = delete(RepositoryCredential).where(RepositoryCredential.repository_id == repository.id)
    return session.execute(gone.returning(RepositoryCredential.repository_id)).first() is not None


def opened(session: Session, repository: Repository) -> Credentials | None:
    """For whoever reads the repository now. None where it is open to all, or has moved elsewhere."""
    # Columns instead of the whole row, because every look at a repository asks for them.
    kept = RepositoryCredential
    mine = select(kept.server, kept.username, kept.known_hosts, kept.sealed)
    found = session.execute(mine.where(kept.repository_id == repository.id)).one_or_none()
    if found is None or found.server != server_of(repository.url):
        return None
    secret = json.loads(secrets.unseal(found.sealed, purpose(repository, found.server)))
    return Credentials(
        username=found.username,
        password=secret["password"],
        ssh_key=secret["ssh_key"],
        known_hosts=found.known_hosts,
    )


def for_address(session: Session, repository: Repository, url: str) -> Credentials | None:
    """Those of the repository, should it move to this address of the same server."""
    return opened(session, repository) if server_of(url) == server_of(repository.url) else None


def purpose(repository: Repository, server: str) -> str:
    return f"repository:{repository.id.hex}:{server}"


def server_of(url: str) -> str:
    """The part of an address that credentials are for; ssh without a scheme has the same as with it."""
    if "://" in url:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"
    host = url.partition(":")[0].rpartition("@")[2]
    return f"ssh://{host.lower()}"


def refuse_unfit(repository: Repository, given: Given) -> None:
    if repository.backend == RepositoryBackend.UNKNOWN:
        raise Invalid("This repository is not read at all.", ["url"])
    ways = [given.password, given.ssh_key, given.makes_key]
    if sum(map(bool, ways)) != 1:
        raise Invalid("Give either a password (or token) or an SSH key.", ["password"])
    server = server_of(repository.url)
    if given.password and not server.startswith(("http://", "https://")):
        raise Invalid("A password is for http and https; this address wants an SSH key.", ["password"])
    if not given.password and not server.startswith("ssh://"):
        raise Invalid("An SSH key is for ssh; this address wants a password or token.", ["ssh_key"])
    refuse_lines(given)
    refuse_known_hosts(given.known_hosts)


def refuse_lines(given: Given) -> None:
    for name in ("username", "password"):
        text = getattr(given, name)
        if not text.isprintable() or len(text) > PASSWORD_MAX_CHARS:
            raise Invalid(f"A {name} is one line of text.", [name])


def refuse_known_hosts(text: str) -> None:
    if len(text) > KNOWN_HOSTS_MAX_CHARS:
        raise Invalid("These are too many known hosts.", ["known_hosts"])
    for line in text.strip().splitlines():
        words = line.split()
        if words and not line.startswith("#") and len(words) < KNOWN_HOST_MIN_WORDS:
            raise Invalid(
                "Known hosts are lines such as `ssh-keyscan HOST` prints: name, kind, key.", ["known_hosts"]
            )
