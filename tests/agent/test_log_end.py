"""What is left of the console at the end of a step goes with its report, where the server takes that."""

from pathlib import Path

from tests.agent.running import a_step, running_agent
from tests.fakes.coordinator import Coordinator

LONG = "seq 100000"


def log_requests(coordinator: Coordinator) -> int:
    return sum("/logs/console/" in request for request in coordinator.requests)


def test_a_short_console_goes_with_the_report(coordinator: Coordinator, home: Path) -> None:
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step("echo hello"))
        report = coordinator.final_of(step)

    assert report.log_end is not None
    assert step.console.startswith("$ echo hello\nhello\n[passed in ")


def test_a_long_console_is_sent_before_the_report(coordinator: Coordinator, home: Path) -> None:
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(LONG))
        coordinator.final_of(step)

    assert step.console.count("\n") == 100_002
    assert log_requests(coordinator) > 0


def test_an_earlier_server_gets_the_console_apart(coordinator: Coordinator, home: Path) -> None:
    coordinator.welcome = {"takes_log_end": False}
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step("echo hello"))
        report = coordinator.final_of(step)

    assert report.log_end is None
    assert "hello\n" in step.console


def test_a_server_that_does_not_take_it_gets_the_console_apart(coordinator: Coordinator, home: Path) -> None:
    coordinator.refuses_log_ends = True
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step("echo hello"))
        report = coordinator.final_of(step)

    assert (report.result, report.log_end) == ("passed", None)
    assert "hello\n" in step.console


def test_a_report_whose_answer_got_lost_is_sent_once_more(coordinator: Coordinator, home: Path) -> None:
    with running_agent(coordinator, home):
        coordinator.lose_answer_about("/report/")
        step = coordinator.offer(a_step("echo hello"))
        coordinator.final_of(step)

    assert step.console.count("hello\n") == 2
