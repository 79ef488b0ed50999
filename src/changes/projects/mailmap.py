"""A `.mailmap`: who in a repository's history is really who; pure.

It counts for the commits of its own repository alone: a repository says nothing about people elsewhere.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from changes.vcs.interface import Person

FILE_NAME = ".mailmap"
SIZE_MAX_BYTES = 1024 * 1024
LINES_MAX = 50_000
PAIR = re.compile(r"\s*([^<>#]*?)\s*<([^<>]*)>")


@dataclass(frozen=True)
class Mailmap:
    """By address in lower case, and by address and name, which goes first."""

    by_address: dict[str, Person] = field(default_factory=dict)
    by_both: dict[tuple[str, str], Person] = field(default_factory=dict)

    def proper(self, person: Person) -> Person:
        address = person.email.lower()
        found = self.by_both.get((address, person.name.lower())) or self.by_address.get(address)
        if found is None:
            return person
        return Person(found.name or person.name, found.email or person.email)


NOBODY = Mailmap()


def parse(text: str) -> Mailmap:
    """`Proper Name <commit@address>`, `Proper <proper@address> Commit Name <commit@address>` and between."""
    found = Mailmap()
    for pairs in lines(text):
        (name, email), *others = pairs
        if others:
            commit_name, commit_email = others[0]
            proper, address = Person(name, email), commit_email.lower()
            if commit_name:
                found.by_both[address, commit_name.lower()] = proper
            else:
                found.by_address[address] = proper
        elif name:
            found.by_address[email.lower()] = Person(name, "")
    return found


def lines(text: str) -> Iterator[list[tuple[str, str]]]:
    for line in text.split("\n")[:LINES_MAX]:
        if not line.lstrip().startswith("#"):
            pairs = [(found[1], found[2].strip()) for found in PAIR.finditer(line)]
            if pairs:
                yield pairs[:2]
