"""Ended builds of commits that stand on each other, with coverage written straight into its rows."""

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session
from tests import factories, finished
from tests.results.coverage.reports import marked

from changes.builds.models import Build
from changes.builds.rules import Result
from changes.projects.models import Project, Source
from changes.results.coverage import making, store


def a_commit(session: Session, project: Project, *parents: str) -> Source:
    source = factories.a_source(session, project, sha=finished.a_sha())
    source.revision.parents = list(parents)
    session.flush()
    return source


def of_commit(
    session: Session, project: Project, files: Mapping[str, str], *, parents: Sequence[str] = ()
) -> Build:
    """Without files, without coverage."""
    build = factories.a_build(session, project)
    build.source = a_commit(session, project, *parents)
    session.flush()
    return tell(session, build, files) if files else end(session, build)


def of_patch(session: Session, project: Project, on: str, files: Mapping[str, str], diff: bytes) -> Build:
    build = factories.a_build(session, project)
    build.source = factories.a_source(session, project, sha=on, patch=diff)
    session.flush()
    return tell(session, build, files)


def tell(session: Session, build: Build, files: Mapping[str, str]) -> Build:
    step = factories.steps_of(session, build)[0]
    store.store(session, step, {path: marked(codes) for path, codes in files.items()}, [])
    making.make(build.id)
    return end(session, build)


def end(session: Session, build: Build, result: Result = Result.PASSED) -> Build:
    finished.end(session, build, result)
    return build
