"""Ids: UUIDv7, made here and never by the database, 32 hex digits outside.

Version 7 carries its time of birth in front: rows of one day lie together, and big tables
are partitioned by ranges of the id itself.
"""

from uuid import UUID

from uuid_utils.compat import uuid7

from changes.base.errors import Invalid


def new() -> UUID:
    return uuid7()


def parse(text: str) -> UUID:
    """Reads an id as people and scripts write it: with or without dashes."""
    try:
        return UUID(text)
    except ValueError:
        raise Invalid(f"{text!r} is not an id: 32 hexadecimal digits are expected.") from None
