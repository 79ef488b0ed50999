"""From the names and addresses that commits carry to authors, many at once."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.people.models import Author, AuthorAddress

NAME_MAX_CHARS = 200
ADDRESS_MAX_CHARS = 254
NOWHERE = "localhost"


def address_of(name: str, email: str) -> str:
    """Who left no address has one by name: it is always the same author."""
    known = email.replace("\0", "\N{REPLACEMENT CHARACTER}").strip()
    if not known:
        known = f"{name.replace(chr(0), '').strip() or 'nobody'}@{NOWHERE}"
    return known[:ADDRESS_MAX_CHARS]


def authors(session: Session, people: Collection[tuple[str, str]]) -> dict[tuple[str, str], UUID]:
    """The author of each (name, address); those nobody knows are made."""
    addresses = {person: address_of(*person) for person in people}
    known = known_by(session, set(addresses.values()))
    new = {address: person[0] for person, address in addresses.items() if address not in known}
    if new:
        known |= made(session, new)
    return {person: known[address] for person, address in addresses.items()}


def known_by(session: Session, addresses: Collection[str]) -> dict[str, UUID]:
    """By the address of an author, or by another one that an administrator has joined to it."""
    mine = select(Author.email, Author.id).where(Author.email.in_(addresses))
    found = {row[0]: row[1] for row in session.execute(mine)}
    lowered = {address.lower(): address for address in addresses}
    joined = select(AuthorAddress.email, AuthorAddress.author_id).where(AuthorAddress.email.in_(lowered))
    others = {row[0]: row[1] for row in session.execute(joined)}
    return found | {address: others[address.lower()] for address in addresses if address.lower() in others}


def made(session: Session, names: dict[str, str]) -> dict[str, UUID]:
    """In one order, so that two who do this do not wait in a circle; somebody else may be faster."""
    now = clock.now()
    rows = [
        {"id": ids.new(), "name": plain(name) or address, "email": address, "date_created": now}
        for address, name in sorted(names.items())
    ]
    session.execute(insert(Author).on_conflict_do_nothing(index_elements=[Author.email]), rows)
    return known_by(session, set(names))


def plain(name: str) -> str:
    return name.replace("\0", "\N{REPLACEMENT CHARACTER}").strip()[:NAME_MAX_CHARS]
