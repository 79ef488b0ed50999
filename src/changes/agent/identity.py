"""Who this agent is: enrolled once with a one-time token, known by its own token ever after."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from changes.agent.client import Client
from changes.agent.errors import HomeInUse, NotEnrolled
from changes.agent.retrying import Retrying
from changes.agent.spool import write_durably
from changes.protocol import Enrolment

FILE_NAME = "identity.json"

log = logging.getLogger("changes.agent")


class Identity(Struct, frozen=True):
    server: str
    node_id: str
    token: str


@contextmanager
def locked_home(home: Path) -> Iterator[None]:
    """The system frees the lock with its holder, however that dies."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise HomeInUse(f"Another agent is running in {home}.") from None
    finally:
        os.close(descriptor)


def stored_identity(home: Path, server: str) -> Identity | None:
    """None if there is none, or one for another server."""
    try:
        identity = msgspec.json.decode((home / FILE_NAME).read_bytes(), type=Identity)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        raise NotEnrolled(
            f"{home}/{FILE_NAME} cannot be read: {error}. Remove it and enrol again."
        ) from error
    return identity if identity.server == server else None


def store_key(home: Path, token: str) -> None:
    """Another key for the same agent; either it or the one before is stored, whatever happens."""
    known = msgspec.json.decode((home / FILE_NAME).read_bytes(), type=Identity)
    _store(home, msgspec.structs.replace(known, token=token))


def _store(home: Path, identity: Identity) -> None:
    write_durably(home / FILE_NAME, msgspec.json.encode(identity))


def enrol(home: Path, server: str, enrolment: Enrolment, is_given_up: Callable[[], bool]) -> Identity:
    """Waits for the server as long as it takes. The name of the agent goes with the token."""
    if not enrolment.token:
        raise NotEnrolled(
            f"This agent is not enrolled with {server}. Give it a one-time token: --enrol-file FILE,"
            " or CHANGES_ENROL_TOKEN."
        )
    client = Client(server)
    try:
        enrolled = Retrying().until_accepted(lambda: client.enrol(enrolment), is_given_up)
    finally:
        client.close()
    identity = Identity(server, enrolled.node_id, enrolled.token)
    _store(home, identity)
    log.info("Enrolled as %s.", enrolment.name)
    return identity
