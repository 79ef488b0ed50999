"""The enums of what can be built, and names for it. The numbers are part of the promise to old clients."""

import re
import unicodedata
from enum import IntEnum
from ipaddress import ip_address

# Steps are put in order by small numbers of one's choice.
ORDER_MAX = 32_767
SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
SLUG_MAX = 64
# Addresses below /projects/ that are pages of their own.
RESERVED_SLUGS = frozenset({"new"})
# The options that take a tab away, and which.
TABS_SHOWN_BY = {"ui.show-tests": "tests", "ui.show-coverage": "coverage"}
HIDDEN = "0"


class ProjectStatus(IntEnum):
    UNKNOWN = 0
    ACTIVE = 1
    INACTIVE = 2


class PlanStatus(IntEnum):
    INACTIVE = 0
    ACTIVE = 1


class RepositoryBackend(IntEnum):
    UNKNOWN = 0
    GIT = 1
    HG = 2


class RepositoryStatus(IntEnum):
    INACTIVE = 0
    ACTIVE = 1
    IMPORTING = 2


class ChangeKind(IntEnum):
    COMMIT = 0
    DIFF = 1
    PULL = 2
    PROPOSAL = 3
    SUBMISSION = 4
    SERIES_PATCH = 5


class ChangeState(IntEnum):
    OPEN = 0
    LANDED = 1
    ABANDONED = 2


class CommentTarget(IntEnum):
    CHANGE = 0
    SOURCE = 1
    BUILD = 2
    JOB = 3
    TEST = 4


def suggested_slug(name: str) -> str:
    """What an address may say of this name; empty where nothing of it can stand there."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")[:SLUG_MAX].strip("-._")


def slug_problem(slug: str) -> str | None:
    if SLUG.fullmatch(slug) is None:
        return "A slug has lower-case letters, digits and . _ - and starts with a letter or digit."
    return f"The slug {slug} is the address of another page." if slug in RESERVED_SLUGS else None


def is_local(url: str) -> bool:
    return url.startswith(("/", "file:"))


def listens_here_only(host: str) -> bool:
    """Then whoever administers the server has this machine's files before his eyes anyhow."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
