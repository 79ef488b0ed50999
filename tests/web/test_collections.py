"""Builds that were asked for together, by the API."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from uuid import UUID

from tests.web.conftest import Live, refused, wait_until

from changes.base import ids
from changes.builds.models import Build


def test_a_collection_has_its_builds_and_their_verdict(live: Live) -> None:
    one, other = live.build(), live.build()
    together = live.get(f"/builds/{one.hex}/").json()["collection_id"]
    with live.database.transaction() as session:
        session.get_one(Build, other).collection_id = UUID(together)
    live.post(f"/builds/{one.hex}/cancel/")

    told = live.get(f"/collections/{together}/").json()

    assert [build["id"] for build in told["builds"]] == [one.hex, other.hex]
    assert (told["status"]["id"], told["result"]["id"]) == ("in_progress", "unknown")


def test_a_collection_that_is_not_there_is_not_found(live: Live) -> None:
    refused(live.get(f"/collections/{ids.new().hex}/"), 404)


def test_whoever_waits_for_a_collection_is_answered_when_one_of_it_ends(
    live: Live, together: Callable[..., Future[Any]]
) -> None:
    build_id = live.build()
    collection_id = live.get(f"/builds/{build_id.hex}/").json()["collection_id"]
    waiting = together(live.get, f"/collections/{collection_id}/", wait_s=20)
    wait_until(lambda: live.is_waited_for(f"build:{build_id.hex}"))

    live.post(f"/builds/{build_id.hex}/cancel/")

    told = waiting.result().json()
    assert (told["status"]["id"], told["builds"][0]["result"]["id"]) == ("finished", "aborted")
