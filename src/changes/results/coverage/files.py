"""Files by their numbers in a project: a path is written down once, however often it is told of."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from changes.base import questions

# Digests travel as one text, which is quicker than an array of them.
KNOWN = """
select array_agg(file.id order by asked.place)
from unnest(string_to_array(%(shas)s, ',')) with ordinality as asked (sha, place)
left join coverage_file file on file.project_id = %(project)s and file.path_sha = asked.sha
"""
# Everybody writes new ones by name, so two cannot wait for each other in a circle; and what lies together
# gets neighbouring numbers.
NEW = """
insert into coverage_file (project_id, path_sha, path)
select %(project)s::uuid, new.* from unnest(%(shas)s::text[], %(paths)s::text[]) as new
on conflict (project_id, path_sha) do nothing
returning id
"""


def numbers(session: Session, project_id: UUID, paths: Sequence[str]) -> Mapping[str, int]:
    """New paths get one."""
    if not paths:
        return {}
    shas = [sha_of(path) for path in paths]
    found = known(session, project_id, shas)
    if None in found:
        new = sorted((path, sha) for path, sha, number in zip(paths, shas, found, strict=True) if not number)
        write(session, project_id, new)
        found = known(session, project_id, shas)
    return {path: number for path, number in zip(paths, found, strict=True) if number is not None}


def known(session: Session, project_id: UUID, shas: Sequence[str]) -> list[int | None]:
    [(found,)] = questions.ask(session, KNOWN, {"shas": ",".join(shas), "project": project_id})
    return list(found or [])


def write(session: Session, project_id: UUID, new: Sequence[tuple[str, str]]) -> None:
    values: dict[str, Any] = {"paths": [path for path, _ in new], "shas": [sha for _, sha in new]}
    questions.ask(session, NEW, {"project": project_id, **values})


def sha_of(path: str) -> str:
    return hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest()
