"""Names of tests into their numbers, in bulk: remembered, looked up by their digests, or written."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row
from sqlalchemy.orm import Session

from changes.base.db import after_commit, plain
from changes.results.formats.seen import TestSeen
from changes.results.remembered_tests import remembered

# Many values travel as one text: an array of ten thousand takes psycopg as long as all the rest. And they are
# compared, not joined: for a join the database would read all tests of all projects. Both lists are put
# together while the rows are read once, so they are in the same order.
KNOWN = """
select string_agg(name_sha, ','), array_agg(id) from test
where project_id = %s and name_sha = any(string_to_array(%s, ','))
"""
# Each report asks for them, so they are in memory: taken from the disk they would be read from end to end, by
# several processes.
AT_HAND, AS_BEFORE = "set local random_page_cost = 1.1", "set local random_page_cost to default"
# In the order of their digests, so that two reports of the same tests cannot wait for each other in a circle.
NEW = """
with made as (
insert into test (project_id, name_sha, name, owner)
select %(project)s::uuid, new.* from rows from (
    json_array_elements_text(%(shas)s::json), json_array_elements_text(%(names)s::json),
    json_array_elements_text(%(owners)s::json)
) as new
order by 2
{conflict}
returning id, name_sha
)
select string_agg(name_sha, ','), array_agg(id) from made
"""
# To be ready for those that somebody else writes at this moment makes each row a quarter dearer.
NOBODY_ELSE = NEW.format(conflict="")
SOMEBODY_ELSE = NEW.format(conflict="on conflict (project_id, name_sha) do nothing")
IS_STILL_SO = "select from test where id = %s and project_id = %s and name = %s"
NEW_OWNERS = """
update test set owner = told.owner from unnest(%s::int[], %s::text[]) as told (id, owner)
where test.id = told.id and test.owner is distinct from told.owner
"""
digest = hashlib.sha1
Connection = psycopg.Connection[Any]


def numbers_of(session: Session, project_id: UUID, tests: Sequence[TestSeen]) -> list[int]:
    """The number of each test, in their order; new names get one. Most are remembered."""
    connection = plain(session.connection().connection)
    names = [test.name for test in tests]
    known = still_known(connection, project_id, names)
    left = by_digest([test for test, number in zip(tests, known, strict=True) if number is None])
    found: Mapping[str, int] = {}
    if left:
        found = by_name(left, found_or_written(connection, project_id, left))
        # What is new may be rolled back.
        after_commit(session, partial(remembered.learn, project_id, found))
    numbers = [found[name] if number is None else number for name, number in zip(names, known, strict=True)]
    learn_owners(connection, tests, numbers)
    return numbers


def still_known(connection: Connection, project_id: UUID, names: Sequence[str]) -> list[int | None]:
    """What is remembered of these, if the database has not been put back to an earlier day."""
    memory = remembered.of(project_id)
    numbers: list[int | None] = [memory.get(name) for name in names]
    newest = max((number for number in numbers if number is not None), default=None)
    if newest is None:
        return numbers
    name = names[numbers.index(newest)]
    if connection.execute(IS_STILL_SO, [newest, project_id, name]).fetchone() is not None:
        return numbers
    remembered.forget(project_id)
    return [None for _ in names]


def found_or_written(
    connection: Connection, project_id: UUID, left: Mapping[str, TestSeen]
) -> Mapping[str, int]:
    found = look_for(connection, project_id, left)
    if len(found) < len(left):
        new = {sha: left[sha] for sha in sorted(left.keys() - found.keys())}
        found |= write(connection, project_id, new)
    # Another report may have told of the same ones at the same time.
    return found if len(found) == len(left) else look_for(connection, project_id, left)


def by_digest(tests: Iterable[TestSeen]) -> dict[str, TestSeen]:
    return {digest(test.name.encode(), usedforsecurity=False).hexdigest(): test for test in tests}


def by_name(tests: Mapping[str, TestSeen], numbers: Mapping[str, int]) -> dict[str, int]:
    # Without a step of Python for each.
    names = map(attrgetter("name"), map(tests.__getitem__, numbers))
    return dict(zip(names, numbers.values(), strict=True))


def look_for(connection: Connection, project_id: UUID, shas: Iterable[str]) -> dict[str, int]:
    connection.execute(AT_HAND)
    found = ask(connection, KNOWN, [project_id, ",".join(shas)])
    connection.execute(AS_BEFORE)
    return found


def write(connection: Connection, project_id: UUID, new: Mapping[str, TestSeen]) -> dict[str, int]:
    """By their digests, in order. Those that somebody else wrote meanwhile are not in the answer."""
    asked = {
        "project": project_id,
        "shas": json.dumps(list(new)),
        "names": json.dumps([test.name for test in new.values()]),
        "owners": json.dumps([test.owner for test in new.values()]),
    }
    try:
        with connection.transaction():
            return ask(connection, NOBODY_ELSE, asked)
    except psycopg.errors.UniqueViolation:
        return ask(connection, SOMEBODY_ELSE, asked)


def ask(
    connection: Connection, statement: str, values: Sequence[object] | Mapping[str, object]
) -> dict[str, int]:
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        row = cursor.execute(statement.encode(), values).fetchone()
    return {} if row is None or row[0] is None else dict(zip(row[0].split(","), row[1], strict=True))


def learn_owners(connection: Connection, tests: Sequence[TestSeen], numbers: Sequence[int]) -> None:
    """Who was told once stays the owner until another one is told."""
    told = sorted((number, test.owner) for number, test in zip(numbers, tests, strict=True) if test.owner)
    if told:
        connection.execute(NEW_OWNERS, [[number for number, _ in told], [owner for _, owner in told]])
