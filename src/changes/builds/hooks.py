"""Addresses at which other programs ask for builds. What they send is signed, or it is not even read.

Two signatures are known. Ours, `Changes-Signature: t=<seconds>,v1=<hex>`, is made of "<t>.<body>": it
grows old within minutes, so a copy of it is of no use. That of GitHub and Gitea, `X-Hub-Signature-256:
sha256=<hex>`, is made of the body alone; so the same body builds the same commit once.
"""

import hashlib
import hmac
import re
import secrets as random
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import clock, events, ids, secrets
from changes.base.errors import Conflict, Forbidden, Invalid, NotFound
from changes.builds import triggers, triggers_wishes
from changes.builds.models import Build
from changes.builds.triggers import Decided, Moment
from changes.builds.triggers_models import BuildHook, TriggerDecision
from changes.builds.triggers_rules import TAG_OF, Kind, Occasion
from changes.projects import revisions
from changes.projects.models import Project
from changes.projects.rules import ProjectStatus

TAG = TAG_OF[Kind.HOOK]
HEAD = "HEAD"
NAME_MAX, HOOKS_MAX = 80, 50
AGE_MAX_S = 300
OURS = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")
THEIRS = re.compile(r"sha256=([0-9a-f]{64})")
UNSIGNED = "This address takes only what is signed with its secret; see docs/guide/triggers.md."


@dataclass(frozen=True)
class Signed:
    """The headers that may hold a signature, as they came."""

    ours: str = ""
    theirs: str = ""


@dataclass(frozen=True)
class Wanted:
    """Without a name the newest commit of the default branch."""

    name: str = HEAD
    parameters: dict[str, str] = field(default_factory=dict)


def of(session: Session, project: Project) -> Sequence[BuildHook]:
    mine = select(BuildHook).where(BuildHook.project_id == project.id)
    return session.execute(mine.order_by(BuildHook.name)).scalars().all()


def create(session: Session, project: Project, name: str) -> tuple[BuildHook, str]:
    """With its secret, which is told once."""
    name = name.strip()
    known = of(session, project)
    if not name or len(name) > NAME_MAX:
        raise Invalid(f"A webhook needs a name of at most {NAME_MAX} characters.", ["name"])
    if any(each.name == name for each in known):
        raise Conflict(f"The project has a webhook {name} already.", ["name"])
    if len(known) >= HOOKS_MAX:
        raise Conflict(f"A project has at most {HOOKS_MAX} webhooks.")
    secret = random.token_urlsafe(32)
    made = BuildHook(id=ids.new(), project_id=project.id, name=name, date_created=clock.now())
    made.sealed = secrets.seal(secret, purpose(made.id))
    session.add(made)
    session.flush()
    return made, secret


def purpose(hook_id: UUID) -> str:
    return f"hook:{hook_id.hex}"


def drop(session: Session, project: Project, hook_id: UUID) -> None:
    found = session.get(BuildHook, hook_id)
    if found is None or found.project_id != project.id:
        raise NotFound("The project has no such webhook.")
    session.delete(found)
    session.flush()


# --- when it is called -----------------------------------------------------------------------


def verified(session: Session, hook_id: UUID, signed: Signed, body: bytes) -> BuildHook:
    """Whether there is such a hook is not told to those who cannot sign."""
    hook = session.get(BuildHook, hook_id)
    secret = secrets.unseal(hook.sealed, purpose(hook.id)) if hook is not None else random.token_urlsafe(32)
    if not is_signed(secret, signed, body, now_s=clock.now().timestamp()) or hook is None:
        raise Forbidden(UNSIGNED)
    return hook


def is_signed(secret: str, signed: Signed, body: bytes, *, now_s: float) -> bool:
    ours, theirs = OURS.fullmatch(signed.ours), THEIRS.fullmatch(signed.theirs)
    if ours:
        is_fresh = abs(now_s - int(ours[1])) <= AGE_MAX_S
        return is_fresh and is_digest(secret, ours[1].encode() + b"." + body, ours[2])
    return theirs is not None and is_digest(secret, body, theirs[1])


def is_digest(secret: str, text: bytes, given: str) -> bool:
    return hmac.compare_digest(hmac.digest(secret.encode(), text, hashlib.sha256).hex(), given)


def build(
    session: Session, hook: BuildHook, wanted: Wanted, signature: str, *, timeout_min: int
) -> tuple[Build | None, Decided | None]:
    """The second is None for a repetition, which is answered with what came of the first."""
    project = session.get_one(Project, hook.project_id)
    if project.status != ProjectStatus.ACTIVE:
        raise Conflict(f"The project {project.slug} is switched off.")
    revision = revisions.find(session, project.repository, wanted.name)
    key = hashlib.sha256(signature.encode()).hexdigest()
    if not events.first_time(session, "hook", hook.id, f"{key} {revision.sha}"):
        return before(session, project, revision.sha, key), None
    source = revisions.source_of(session, revision)
    session.refresh(source)
    hook.date_used = clock.now()
    moment = Moment(
        what=Occasion(Kind.HOOK, tuple(revision.branches), facts={"name": hook.name}),
        source=source,
        key=key,
        tags=(TAG,),
        parameters=wanted.parameters,
        timeout_min=timeout_min,
    )
    decided = triggers.consider(session, project, triggers_wishes.of_source(session, project, source), moment)
    return (decided.build if decided else None), decided


def before(session: Session, project: Project, sha: str, key: str) -> Build | None:
    mine = (
        select(Build)
        .join(TriggerDecision, TriggerDecision.build_id == Build.id)
        .where(TriggerDecision.project_id == project.id, TriggerDecision.sha == sha)
        .where(TriggerDecision.kind == Kind.HOOK.value, TriggerDecision.key == key)
    )
    return session.execute(mine).unique().scalar_one_or_none()
