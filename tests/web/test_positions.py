"""Lists by position: what comes in meanwhile shifts nothing."""

from starlette.testclient import TestClient
from tests.factories import a_build, a_project

from changes.base.db import Session


def numbers(answer: list[dict[str, int]]) -> list[int]:
    return [each["number"] for each in answer]


def test_positions_walk_a_list_without_skipping_what_came_in(admin: TestClient, session: Session) -> None:
    project = a_project(session)
    for _ in range(5):
        a_build(session, project, plans=0)
    first = admin.get(f"/api/0/projects/{project.slug}/builds/", params={"after": "", "per_page": 2})

    a_build(session, project, plans=0)
    second = admin.get(first.links["next"]["url"])
    third = admin.get(second.links["next"]["url"])

    walked = [numbers(first.json()), numbers(second.json()), numbers(third.json())]
    assert walked == [[5, 4], [3, 2], [1]]
    assert "next" not in third.links


def test_positions_lead_back_to_the_newest(admin: TestClient, session: Session) -> None:
    project = a_project(session)
    builds = [a_build(session, project, plans=0) for _ in range(3)]

    newer = admin.get(
        f"/api/0/projects/{project.slug}/builds/", params={"before": builds[0].id.hex, "per_page": 1}
    )
    newest = admin.get(newer.links["previous"]["url"])

    assert numbers(newer.json()) == [2]
    assert numbers(newest.json()) == [3]
    assert "previous" not in newest.links


def test_a_position_beside_a_page_number_is_refused(admin: TestClient) -> None:
    answer = admin.get("/api/0/builds/", params={"after": "", "page": "2"})

    assert answer.status_code == 400
    assert answer.json()["problems"] == ["after", "before", "page"]
