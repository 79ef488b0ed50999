"""What lets programs of the original in: they send no credentials, so it stands in their server's address.

A key is made by an administrator and kept as a digest. From the key of a scheduler follows, for each
step that it takes, an address that opens this step only; it is derived and kept nowhere.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Select, or_, select, update
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.errors import Forbidden, Invalid, NotFound
from changes.base.process import settings
from changes.base.settings import secret_key
from changes.builds.models import JobStep, Node
from changes.builds.original.models import KeyUse, OriginalKey, OriginalNode
from changes.people import secrets

NAME_MAX = 100
KEYS_SHOWN = 200
LAST_USED_EXACT_TO = timedelta(minutes=1)
OF_A_STEP = re.compile("step_([0-9a-f]{32})_([0-9a-f]{32})_([0-9a-f]{64})")
CLOSED = "This address opens nothing: its key is unknown or was revoked."


@dataclass(frozen=True)
class Access:
    """What a request may touch. With a step: that one only, as its agent."""

    key_id: UUID
    use: KeyUse
    step_id: UUID | None = None


@dataclass(frozen=True)
class NewKey:
    id: UUID
    secret: str


def make(session: Session, name: str, use: KeyUse) -> NewKey:
    """The secret is in the answer and nowhere else."""
    secret = secrets.make()
    key = OriginalKey(id=ids.new(), name=checked_name(name), use=use, digest=secrets.digest(secret))
    session.add(key)
    session.flush()
    return NewKey(key.id, secret)


def checked_name(name: str) -> str:
    """It becomes the name of a node."""
    if not 0 < len(name.strip()) <= NAME_MAX or not name.isprintable():
        raise Invalid(f"Say which scheduler it is for, in at most {NAME_MAX} printable characters.", ["name"])
    return name.strip()


def address_of(secret: str) -> str:
    """Where the original's programs find their server, without a slash at the end."""
    return settings.get().base_url.rstrip("/") + path_of(secret)


def path_of(secret: str) -> str:
    return f"/original/{secret}"


def found(session: Session) -> list[OriginalKey]:
    """Newest first."""
    newest = select(OriginalKey).order_by(OriginalKey.id.desc()).limit(KEYS_SHOWN)
    return list(session.execute(newest).scalars())


def find(session: Session, key_id: UUID) -> OriginalKey:
    key = session.get(OriginalKey, key_id)
    if key is None:
        raise NotFound("There is no such address.")
    return key


def revoke(session: Session, key_id: UUID) -> OriginalKey:
    """With it go the addresses of all its steps, and its nodes get nothing more."""
    key = find(session, key_id)
    key.date_revoked = key.date_revoked or clock.now()
    mine = select(OriginalNode.node_id).where(OriginalNode.key_id == key_id)
    session.execute(update(Node).where(Node.id.in_(mine)).values(token_digest=None))
    session.flush()
    return key


# --- letting in --------------------------------------------------------------------------


def open_with(session: Session, given: str) -> Access:
    of_step = OF_A_STEP.fullmatch(given)
    if of_step is not None:
        return open_step(session, *of_step.groups())
    mine = select(OriginalKey).where(OriginalKey.digest == secrets.digest(given))
    key = session.execute(mine.where(OriginalKey.date_revoked.is_(None))).scalar_one_or_none()
    if key is None:
        raise Forbidden(CLOSED)
    note_use(session, key)
    return Access(key.id, key.use)


def open_step(session: Session, key_hex: str, step_hex: str, proof: str) -> Access:
    key_id, step_id = UUID(key_hex), UUID(step_hex)
    if not hmac.compare_digest(proof, proof_for(key_id, step_id)):
        raise Forbidden(CLOSED)
    key = session.get(OriginalKey, key_id)
    if key is None or key.date_revoked is not None:
        raise Forbidden(CLOSED)
    return Access(key_id, KeyUse.AGENT, step_id)


def secret_of_step(key_id: UUID, step_id: UUID) -> str:
    return f"step_{key_id.hex}_{step_id.hex}_{proof_for(key_id, step_id)}"


def proof_for(key_id: UUID, step_id: UUID) -> str:
    signed = f"original agent {key_id.hex} {step_id.hex}"
    return hmac.digest(secret_key(settings.get()).encode(), signed.encode(), hashlib.sha256).hex()


def note_use(session: Session, key: OriginalKey) -> None:
    now = clock.now()
    stale = or_(OriginalKey.date_last_used.is_(None), OriginalKey.date_last_used < now - LAST_USED_EXACT_TO)
    if key.date_last_used is None or key.date_last_used < now - LAST_USED_EXACT_TO:
        session.execute(update(OriginalKey).where(OriginalKey.id == key.id, stale).values(date_last_used=now))


def require_scheduler(access: Access) -> None:
    if access.use != KeyUse.ALLOCATE:
        raise Forbidden("This address is one for agents; a scheduler needs one of its own.")


def step(session: Session, access: Access, step_id: UUID) -> JobStep:
    """The step, if it was handed out to whom this address was given; for all others there is none."""
    mine = steps(access).where(JobStep.id == step_id)
    found = session.execute(mine.execution_options(populate_existing=True)).scalar_one_or_none()
    if found is None:
        raise NotFound("Not found")
    return found


def steps(access: Access) -> Select[JobStep]:
    mine = select(JobStep).join(OriginalNode, OriginalNode.node_id == JobStep.node_id)
    if access.step_id is not None:
        mine = mine.where(JobStep.id == access.step_id)
    if access.step_id is not None or access.use == KeyUse.ALLOCATE:
        mine = mine.where(OriginalNode.key_id == access.key_id)
    return mine
