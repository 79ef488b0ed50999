"""Who may do what, decided on plain values."""

from collections.abc import Collection
from enum import IntEnum
from fnmatch import fnmatchcase


class Scope(IntEnum):
    """What a token opens. Each includes those below it, except that an agent is only an agent."""

    AGENT = 0
    READ = 1
    WRITE = 2
    ADMIN = 3


def allows(held: Scope, needed: Scope) -> bool:
    if Scope.AGENT in (held, needed):
        return held == needed
    return held >= needed


def scope_of_user(*, is_admin: bool) -> Scope:
    return Scope.ADMIN if is_admin else Scope.WRITE


def scope_of_token(held: Scope, owners: Scope | None) -> Scope:
    """Whoever lost a right has lost it for their tokens, too. Without an owner, a token stands alone."""
    if owners is None or held == Scope.AGENT:
        return held
    return min(held, owners)


def may_administer_project(*, is_admin: bool, patterns: Collection[str], slug: str) -> bool:
    return is_admin or any(fnmatchcase(slug, pattern) for pattern in patterns)


def vouches_for(*, domains: Collection[str], email: str, hosted_domain: str | None, is_google: bool) -> bool:
    """Google also knows private accounts under an address of a company's; `hd` tells them apart."""
    domain = email.rpartition("@")[2]
    if "*" in domains:
        return True
    return domain in domains and (not is_google or hosted_domain in domains)
