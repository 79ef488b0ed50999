"""`changes up` with the real programs: the first start, and what the second one finds again."""

import json
import re
from collections.abc import Iterator

import httpx
import pytest
from tests.scenarios.running import eventually, processes_in
from tests.scenarios.upping import Up, an_up

pytestmark = pytest.mark.system
CHECKOUT = {".changes.yml": "plans:\n  - name: first tests\n    commands: [echo built by itself]\n"}


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with an_up(CHECKOUT) as up:
        up.start_until_ready()
        yield up


def test_the_checkout_it_runs_from_is_the_first_project_and_its_first_build_passes(up: Up) -> None:
    api = up.api()
    eventually(lambda: api.get("/projects/changes/builds/"))
    (first,) = api.get("/projects/changes/builds/")

    build = api.finished(first["id"])

    assert "The first build has begun: changes #1" in up.said
    assert (build["number"], build["result"]["id"]) == (1, "passed")
    (step,) = api.attempts(build["id"])
    assert step["node"]["name"] == "local"
    assert b"\nbuilt by itself\n" in api.log(step["id"])


def test_the_printed_link_signs_the_administrator_in_once(up: Up) -> None:
    (link,) = re.findall(r"Sign in as admin@localhost: (\S+)", up.said)
    with httpx.Client(trust_env=False, follow_redirects=True) as browser:
        looked, entered, again = browser.get(link), browser.post(link), browser.post(link)

        who = browser.get(f"{up.api().url}/api/0/auth/").json()

    assert (looked.status_code, entered.status_code, again.status_code) == (200, 200, 403)
    assert (who["user"]["email"], who["scope"]) == ("admin@localhost", "admin")


def test_its_owner_makes_a_token_and_asks_without_any_login(up: Up) -> None:
    made = up.command("token", "create", "--name", "robot", "--scope", "admin", "--json")
    listed = up.command("project", "list", CHANGES_LOGIN=str(up.top / "none.json"))

    token = json.loads(made.stdout)["token"]
    who = httpx.get(
        f"{up.api().url}/api/0/auth/", headers={"Authorization": f"Bearer {token}"}, trust_env=False
    ).json()
    assert who["scope"] == "admin"
    assert re.search(r"^changes +Changes +#1 passed$", listed.stdout, re.MULTILINE)


def test_the_second_start_finds_everything_and_builds_nothing_by_itself(up: Up) -> None:
    before = up.api().get("/projects/changes/builds/")
    assert up.interrupt() == 0
    assert processes_in(up.home) == []

    api = up.start_until_ready()

    assert "The first build" not in up.said
    assert api.get("/projects/changes/builds/") == before
    assert [node["name"] for node in api.get("/nodes/")] == ["local"]
