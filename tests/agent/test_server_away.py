"""The server comes and goes; the step does not care."""

from pathlib import Path

import pytest
from tests.agent.running import a_command, a_step, eventually, running_agent
from tests.fakes.coordinator import Coordinator

LINES = [f"line {number}" for number in range(200)]


@pytest.mark.parametrize(
    ("status", "part"),
    [(200, "/report/"), (404, "/report/"), (404, "/logs/"), (403, "/heartbeat/"), (403, "steps/next/")],
)
def test_what_somebody_in_between_says_of_a_step_ends_neither_that_nor_the_agent(
    coordinator: Coordinator, home: Path, status: int, part: str
) -> None:
    coordinator.is_replaced_by_a_proxy, coordinator.status_of_proxy = True, status
    coordinator.lose_answer_about(part)
    with running_agent(coordinator, home):
        first, second = (coordinator.offer(a_step("seq 100000", id=each)) for each in ("one", "two"))

        assert [coordinator.final_of(step).result for step in (first, second)] == ["passed", "passed"]


def test_a_step_goes_on_without_the_server_and_everything_arrives_in_order(
    coordinator: Coordinator, home: Path, tmp_path: Path
) -> None:
    script = f"""
    seq -f 'line %g' 0 99; touch {tmp_path}/half
    until [ -e {tmp_path}/away ]; do sleep 0.01; done
    seq -f 'line %g' 100 199; printf 1 > a.xml"""
    last = a_command(f"touch {tmp_path}/done", id="c2")
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(a_command(script, name="count", artifacts=["a.xml"]), last))
        coordinator.wait_for(lambda: "line 99" in step.console)

        coordinator.go_away()
        (tmp_path / "away").touch()
        eventually((tmp_path / "done").exists)
        coordinator.come_back()

        report = coordinator.final_of(step)
    assert report.result == "passed"
    assert [line for line in step.console.splitlines() if line.startswith("line")] == LINES
    assert step.artifacts == {"a.xml": b"1"}


def test_an_agent_started_before_its_server_waits_for_it(coordinator: Coordinator, home: Path) -> None:
    coordinator.go_away()
    with running_agent(coordinator, home):
        coordinator.come_back()
        step = coordinator.offer(a_step("true"))

        assert coordinator.final_of(step).result == "passed"


def test_absence_and_return_are_told_once_each(
    coordinator: Coordinator, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step("sleep 600"))
        coordinator.wait_for(lambda: coordinator.heartbeats)

        coordinator.go_away()
        eventually(lambda: "away" in caplog.text)
        coordinator.come_back()
        eventually(lambda: "is back" in caplog.text)
        coordinator.cancel(step.offer.id)
        coordinator.final_of(step)

    assert caplog.text.count("The server is away") == 1
    assert caplog.text.count("The server is back") == 1


def test_a_server_that_lost_log_bytes_gets_them_again(
    coordinator: Coordinator, home: Path, tmp_path: Path
) -> None:
    with running_agent(coordinator, home):
        step = coordinator.offer(
            a_step(f"echo one; until [ -e {tmp_path}/lost ]; do sleep 0.01; done; echo two")
        )
        coordinator.wait_for(lambda: "\none\n" in step.console)
        with coordinator.changed:
            step.logs["console"].clear()
        (tmp_path / "lost").touch()

        coordinator.final_of(step)

    assert step.console.splitlines()[1:3] == ["one", "two"]


def test_a_long_log_arrives_whole(coordinator: Coordinator, home: Path) -> None:
    size_bytes = 20 * 1024 * 1024
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(f"yes 0123456789abcde | head -c {size_bytes}"))
        coordinator.final_of(step)

    content = bytes(step.logs["console"]).split(b"\n", 1)[1]
    assert content[:size_bytes] == b"0123456789abcde\n" * (size_bytes // 16)
    assert content[size_bytes:].startswith(b"[passed in")


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_step_whose_offer_got_lost_on_the_way_is_run_at_once(
    coordinator: Coordinator, home: Path, *, is_refused: bool
) -> None:
    """The line breaks, or somebody in between answers instead of the server."""
    with running_agent(coordinator, home):
        assert coordinator.final_of(coordinator.offer(a_step("true"))).result == "passed"
        with coordinator.changed:
            coordinator.is_replaced_by_a_proxy = is_refused
        coordinator.lose_answer_about("steps/next/")

        step = coordinator.offer(a_step("true", id="lost"))

        assert coordinator.final_of(step).result == "passed"
