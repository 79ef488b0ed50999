"""Builds of real commits, whose steps leave reports of coverage behind."""

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import ids
from changes.builds import queries, reasons
from changes.builds.create import NewBuild, create_build
from changes.builds.models import Build, JobStep
from changes.projects import options, plan_options
from changes.projects.models import Plan, Project
from changes.results import collect

BEFORE = {"src/app.py": "a = 1\nb = 2\nc = 3\n", "src/other.py": "x = 1\n", "README": "words\n"}
# Its third line is as before, the two around it are new.
AFTER = {"src/app.py": "a = 1\nb = 20\nc = 3\nd = 4\n"}
PATCH = b"""diff --git a/src/app.py b/src/app.py
--- a/src/app.py
+++ b/src/app.py
@@ -1,4 +1,5 @@
 a = 1
+new = 0
 b = 20
 c = 3
 d = 4
diff --git a/src/fresh.py b/src/fresh.py
new file mode 100644
--- /dev/null
+++ b/src/fresh.py
@@ -0,0 +1,2 @@
+one = 1
+two = 2
"""


class Repository:
    """Two commits; the second changes two lines of one file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first = factories.a_git_repository(folder, BEFORE)
        self.second = factories.commit(folder, AFTER, "The second commit")

    def project(self, session: Session) -> Project:
        return factories.a_project(session, "", factories.a_repository(session, str(self.folder)))


def an_unread_project(session: Session) -> Project:
    """Its repository did not answer lately, so nobody asks it for anything."""
    project = factories.a_project(session)
    project.repository.last_error = "It does not answer."
    session.flush()
    return project


def a_patch(session: Session, project: Project) -> Build:
    return a_build(session, project, factories.A_SHA, patch=PATCH)


def a_plan(session: Session, project: Project, said: Mapping[str, str], steps: int = 1) -> Plan:
    plan = factories.a_plan(session, project, *[{"commands": ["true"]}] * steps)
    plan_options.change(session, plan.id, plan_options.OF_PLANS, said)
    return plan


def asks(session: Session, project: Project, values: Mapping[str, str]) -> None:
    options.change(session, project, values)
    session.flush()


def a_build(session: Session, project: Project, sha: str, *, patch: bytes | None = None) -> Build:
    source = factories.a_source(session, project, sha=sha, patch=patch)
    asked = NewBuild(
        source=source,
        collection_id=ids.new(),
        label="A build",
        target=sha[:12],
        message="",
        author=None,
    )
    return create_build(session, project, asked)


def run(session: Session, build: Build, reports: Mapping[str, bytes], *, place: int = 0) -> JobStep:
    """A step of the build runs, leaves these behind, and is read."""
    step = factories.give_to(session, factories.steps_of(session, build)[place], factories.a_node(session))
    for name, content in reports.items():
        agents.leave_behind(session, step, content, name)
    agents.end(session, step)
    collect.collect_step(step.id)
    return step


def sentences(session: Session, build: Build) -> list[str]:
    found = queries.failures_of(session, [build.id])[build.id]
    return [reasons.sentence(each.reason, each.data) for each in found]
