"""What `changes status BUILD` prints of what the server answers."""

from typing import Any

import pytest

from changes.app.cli import asking

FINISHED, RUNNING, QUEUED = (
    {"id": name, "name": name.replace("_", " ").capitalize()}
    for name in ("finished", "in_progress", "queued")
)
PASSED, UNKNOWN = ({"id": name, "name": name.capitalize()} for name in ("passed", "unknown"))
LOST = "The agent a was stopped while it worked on this."


def a_step(number: int, status: dict[str, str], node: str | None = None) -> dict[str, Any]:
    result = PASSED if status == FINISHED else UNKNOWN
    return {"id": number, "status": status, "result": result, "node": {"name": node} if node else None}


def test_a_build_is_shown_with_its_steps_and_with_what_earlier_attempts_suffered_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = [a_step(1, FINISHED, "a"), a_step(2, RUNNING, "b"), a_step(3, QUEUED), a_step(4, FINISHED)]
    whole = {"number": 7, "status": RUNNING, "result": UNKNOWN}
    build = {
        **whole,
        "project": {"slug": "hello"},
        "target": "abc",
        "name": "Mend it",
        "waiting": None,
        "failures": [{"text": "1 test failed."}],
        "lostAttempts": [{"text": LOST}],
        "jobs": [{**whole, "name": "tests", "phases": [{"steps": steps}]}],
    }

    asking.show(build)

    assert capsys.readouterr().out.splitlines() == [
        "hello #7 in progress  abc  Mend it",
        "  1 test failed.",
        f"  An earlier attempt: {LOST}",
        "  #7 in progress tests",
        "    step 1 passed on a",
        "    step 2 in progress on b",
        "    step 3 queued on no agent yet",
        "    step 4 passed",
    ]
