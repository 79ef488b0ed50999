"""Ids: UUIDv7, made here and never by the database, 32 hex digits outside.

Version 7 carries its time of birth in front: rows of one day lie together, and big tables
are partitioned by ranges of the id itself.
"""

from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from changes.base.errors import Invalid

# Behind the milliseconds since 1970.
RANDOM_BITS = 80


def new() -> UUID:
    return uuid7()


def least_at(at: datetime) -> UUID:
    """No id that is made at this time or later is smaller."""
    return UUID(int=max(0, round(at.timestamp() * 1000)) << RANDOM_BITS)


def made_at(made: UUID) -> datetime:
    return datetime.fromtimestamp((made.int >> RANDOM_BITS) / 1000, UTC)


def parse(text: str) -> UUID:
    """Reads an id as people and scripts write it: with or without dashes."""
    try:
        return UUID(text)
    except ValueError:
        raise Invalid(f"{text!r} is not an id: 32 hexadecimal digits are expected.") from None
