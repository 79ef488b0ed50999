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


def may_administer_project(*, is_admin: bool, patterns: Collection[str], slug: str) -> bool:
    return is_admin or any(fnmatchcase(slug, pattern) for pattern in patterns)
