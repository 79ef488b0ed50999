"""Secrets of projects: kept, listed by name, replaced, removed; given to trusted steps alone."""

from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session
from tests import factories
from tests.web.conftest import API, Agent, Live, answered, refused

from changes.base import secrets as sealing
from changes.base.errors import Invalid
from changes.builds import trust
from changes.builds.models import Build
from changes.projects import options, secrets
from changes.projects.models import Project

VALUE = "correct horse battery"
SECRETS = f"{API}/projects/hello/secrets/"


@pytest.fixture
def project(session: Session) -> Project:
    return factories.a_project(session, "hello")


def names_of(session: Session, project: Project) -> list[str]:
    return [each.name for each in secrets.of(session, project)]


def test_a_secret_is_kept_and_never_shown(admin: TestClient, session: Session, project: Project) -> None:
    kept = answered(admin.post(SECRETS, json={"name": "TOKEN", "value": VALUE}))
    listed = answered(admin.get(SECRETS))

    assert (kept.status_code, kept.json()["name"]) == (201, "TOKEN")
    assert [each["name"] for each in listed.json()] == ["TOKEN"]
    assert VALUE not in kept.text + listed.text


def test_it_is_sealed_in_the_database(admin: TestClient, session: Session, project: Project) -> None:
    admin.post(SECRETS, json={"name": "TOKEN", "value": VALUE})

    (stored,) = secrets.of(session, project)

    assert VALUE.encode() not in stored.sealed
    assert secrets.opened(project.id, [(stored.name, stored.sealed)]) == {"TOKEN": VALUE}


def test_moved_to_another_name_or_project_it_does_not_open(session: Session, project: Project) -> None:
    stored = secrets.keep(session, project, "TOKEN", VALUE)
    other = factories.a_project(session)

    for project_id, name in ((other.id, "TOKEN"), (project.id, "OTHER")):
        with pytest.raises(sealing.Unreadable):
            secrets.opened(project_id, [(name, stored.sealed)])


def test_the_same_name_again_replaces_the_value(session: Session, project: Project) -> None:
    secrets.keep(session, project, "TOKEN", VALUE)
    secrets.keep(session, project, "TOKEN", "another value")

    (stored,) = secrets.of(session, project)
    assert secrets.opened(project.id, [("TOKEN", stored.sealed)]) == {"TOKEN": "another value"}


def test_one_that_is_removed_is_gone(admin: TestClient, session: Session, project: Project) -> None:
    secrets.keep(session, project, "TOKEN", VALUE)

    assert admin.delete(f"{SECRETS}TOKEN/").status_code == 204

    assert names_of(session, project) == []
    refused(admin.delete(f"{SECRETS}TOKEN/"), 404)


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("1ST", VALUE, "name"),
        ("A-B", VALUE, "name"),
        ("PATH", VALUE, "name"),
        ("CHANGES_STEP_MARK", VALUE, "name"),
        ("SHORT", "12345", "value"),
        ("LONG", "x" * 50_000, "value"),
        ("NUL", "12345\x0067", "value"),
    ],
)
def test_what_cannot_be_a_secret_is_refused(
    session: Session, project: Project, name: str, value: str, field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        secrets.keep(session, project, name, value)

    assert refusal.value.problems == [field]


def test_only_those_with_rights_on_the_project_touch_them(
    writer: TestClient, session: Session, project: Project
) -> None:
    secrets.keep(session, project, "TOKEN", VALUE)

    refused(writer.get(SECRETS), 403)
    refused(writer.post(SECRETS, json={"name": "TOKEN", "value": "of somebody else"}), 403)
    refused(writer.delete(f"{SECRETS}TOKEN/"), 403)

    (stored,) = secrets.of(session, project)
    assert secrets.opened(project.id, [("TOKEN", stored.sealed)]) == {"TOKEN": VALUE}


# --- what agents get ----------------------------------------------------------------------------


def a_step_with_secrets(live: Live, *, is_trusted: bool) -> None:
    build_id = live.build()
    with live.database.transaction() as session:
        build = session.get_one(Build, build_id)
        build.is_trusted = is_trusted
        secrets.keep(session, build.project, "TOKEN", VALUE)
        secrets.keep(session, build.project, "UNNAMED", VALUE)
        for step in factories.steps_of(session, build):
            step.data = {**step.data, "secrets": ["TOKEN"], "limits": {"memory": 512}}


def test_a_trusted_step_gets_the_secrets_its_plan_names(live: Live, agent: Agent) -> None:
    a_step_with_secrets(live, is_trusted=True)

    (offer,) = agent.next()

    assert (offer["trusted"], offer["secrets"]) == (True, {"TOKEN": VALUE})
    assert offer["limits"]["memory_mb"] == 512


def test_a_step_of_a_stranger_gets_none(live: Live, agent: Agent) -> None:
    a_step_with_secrets(live, is_trusted=False)

    (offer,) = agent.next()

    assert (offer["trusted"], offer["secrets"]) == (False, {})
    assert VALUE not in str(offer)


def test_a_patch_of_somebody_without_rights_is_not_trusted(
    writer: TestClient, admin: TestClient, session: Session, project: Project
) -> None:
    factories.a_plan(session, project, {"commands": ["true"]})
    sha = factories.a_source(session, project).revision_sha
    asked = {"sha": sha, "project": "hello", "patch": "--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\n"}

    built = {
        who: answered(client.post(f"{API}/builds/", data=asked)).json()[0]["id"]
        for who, client in (("stranger", writer), ("administrator", admin))
    }

    def is_trusted(build_id: str) -> bool:
        return session.get_one(Build, UUID(build_id)).is_trusted

    assert not is_trusted(built["stranger"])
    assert is_trusted(built["administrator"])
    again = answered(admin.post(f"{API}/builds/{built['stranger']}/retry/")).json()["id"]
    assert not is_trusted(again)


def test_a_project_may_trust_the_patches_of_everybody(
    writer: TestClient, session: Session, project: Project
) -> None:
    factories.a_plan(session, project, {"commands": ["true"]})
    options.change(session, project, {options.TRUSTED_PATCHES: options.EVERYBODY})
    sha = factories.a_source(session, project).revision_sha
    asked = {"sha": sha, "project": "hello", "patch": "--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\n"}

    (made,) = answered(writer.post(f"{API}/builds/", data=asked)).json()

    assert session.get_one(Build, UUID(made["id"])).is_trusted


def test_who_is_trusted() -> None:
    assert trust.is_trusted(has_patch=False, has_rights=False, who="")
    assert trust.is_trusted(has_patch=True, has_rights=True, who="")
    assert trust.is_trusted(has_patch=True, has_rights=False, who="everybody")
    assert not trust.is_trusted(has_patch=True, has_rights=False, who="rights")
