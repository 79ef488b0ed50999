"""When something was printed is known even where it was sent much later."""

from datetime import datetime

import pytest
from tests.faults import gates
from tests.scenarios.running import RunningSystem, eventually

pytestmark = pytest.mark.system


def test_a_log_knows_when_each_line_was_read(system: RunningSystem, gate: gates.Gate) -> None:
    build_id, step_id = gates.begun(system, gate.waiting)
    eventually(lambda: b"\nbegun\n" in system.api.log(step_id))
    gate.open()
    system.api.finished(build_id)

    (step,) = system.api.attempts(build_id)
    chunks = system.api.get(f"/jobsteps/{step_id}/logs/console/", offset=0)["chunks"]

    text = "".join(chunk["text"] for chunk in chunks)
    times = [
        (each["offset"], datetime.fromisoformat(each["read"])) for chunk in chunks for each in chunk["times"]
    ]
    begun, ended = (
        max(at for offset, at in times if offset <= text.index(f"\n{line}\n") + 1)
        for line in ("begun", "ended")
    )
    assert times == sorted(times)
    assert datetime.fromisoformat(step["dateCreated"]) <= begun < ended
