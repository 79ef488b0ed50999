"""What stands around one build: the ones before and after it, its family, and since when it is red.

One question for all of them, because each alone would be a page's whole allowance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, literal, select, union_all
from sqlalchemy.orm import Session, joinedload, lazyload

from changes.builds.models import Build
from changes.builds.rules import Result, Status
from changes.projects.models import Source

FAMILY_MAX = 20
SAME_SOURCE_MAX = 10
RED = (Result.FAILED, Result.INFRA_FAILED)
OLDEST = UUID(int=0)
BARE = (joinedload(Build.project), lazyload(Build.source), lazyload(Build.author))
Tagged = Select[str, UUID]


class Place(StrEnum):
    PREVIOUS = "previous"
    NEXT = "next"
    LAST_GREEN = "last green"
    FIRST_RED = "first red"
    GREEN_AGAIN = "green again"
    BASE = "base"
    FAMILY = "family"
    SAME_SOURCE = "same source"


@dataclass(frozen=True)
class Around:
    """`family` was asked for by the same request; `same_source` builds the very same code.

    A build of a commit knows since when its project is red; one of a patch knows the newest build of
    the commit below it.
    """

    previous: Build | None
    next: Build | None
    last_green: Build | None
    first_red: Build | None
    green_again: Build | None
    base: Build | None
    family: Sequence[Build]
    same_source: Sequence[Build]


def around(session: Session, build: Build) -> Around:
    line = of_patch(build) if build.source.patch_id else of_commits(build)
    tagged = union_all(*neighbours(build), *line, *relatives(build)).subquery()
    found = select(tagged.c.place, Build).join(Build, Build.id == tagged.c.id).options(*BARE)
    places: dict[str, list[Build]] = {}
    for place, each in session.execute(found.order_by(Build.id.desc())):
        places.setdefault(place, []).append(each)

    def one(place: Place) -> Build | None:
        return next(iter(places.get(place, [])), None)

    return Around(
        previous=one(Place.PREVIOUS),
        next=one(Place.NEXT),
        last_green=one(Place.LAST_GREEN),
        first_red=one(Place.FIRST_RED),
        green_again=one(Place.GREEN_AGAIN),
        base=one(Place.BASE),
        family=places.get(Place.FAMILY, []),
        same_source=places.get(Place.SAME_SOURCE, []),
    )


def tagged(place: Place, *wanted: ColumnElement[bool], order: Any, limit: int = 1) -> Tagged:
    """A select of its own inside, because only that may be ordered and cut within a union."""
    found = select(Build.id).where(*wanted).order_by(order).limit(limit).subquery()
    return select(literal(place.value).label("place"), found.c.id)


def neighbours(build: Build) -> list[Tagged]:
    mine = Build.project_id == build.project_id
    return [
        tagged(Place.PREVIOUS, mine, Build.id < build.id, order=Build.id.desc()),
        tagged(Place.NEXT, mine, Build.id > build.id, order=Build.id.asc()),
    ]


def of_commits(build: Build) -> list[Tagged]:
    """Only finished builds of commits say how a project is; a patch speaks for itself."""
    mine = [
        Build.project_id == build.project_id,
        Build.status == Status.FINISHED,
        Build.source.has(patch_id=None),
    ]
    green = Build.result == Result.PASSED
    newest_green = (
        select(Build.id).where(*mine, green, Build.id < build.id).order_by(Build.id.desc()).limit(1)
    )
    since = Build.id > func.coalesce(newest_green.scalar_subquery(), OLDEST)
    return [
        tagged(Place.LAST_GREEN, *mine, green, Build.id < build.id, order=Build.id.desc()),
        tagged(
            Place.FIRST_RED, *mine, Build.result.in_(RED), since, Build.id <= build.id, order=Build.id.asc()
        ),
        tagged(Place.GREEN_AGAIN, *mine, green, Build.id > build.id, order=Build.id.asc()),
    ]


def of_patch(build: Build) -> list[Tagged]:
    below = Build.source.has(
        (Source.repository_id == build.source.repository_id)
        & (Source.revision_sha == build.source.revision_sha)
        & Source.patch_id.is_(None)
    )
    mine = Build.project_id == build.project_id
    return [tagged(Place.BASE, mine, below, order=Build.id.desc())]


def relatives(build: Build) -> list[Tagged]:
    others = Build.id != build.id
    family = Build.collection_id == build.collection_id
    same = (Build.source_id == build.source_id) & (Build.project_id == build.project_id)
    return [
        tagged(Place.FAMILY, family, others, order=Build.id.desc(), limit=FAMILY_MAX),
        tagged(Place.SAME_SOURCE, same, others, order=Build.id.desc(), limit=SAME_SOURCE_MAX),
    ]
