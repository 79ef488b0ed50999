"""What became of a step, decided from what its commands did; pure."""

import signal
from dataclasses import dataclass
from typing import Literal

from changes.agent.commands import Outcome
from changes.protocol import CommandOffer, CommandReport

Result = Literal["passed", "failed", "infra_failed", "aborted"]
TEARDOWN, INFRA_SETUP = "teardown", "infra_setup"
# What a snapshot holds already.
SET_UPS = ("setup", INFRA_SETUP)


@dataclass(frozen=True)
class Verdict:
    result: Result
    reason: str | None = None
    message: str | None = None


PASSED = Verdict("passed")
ABORTED = Verdict("aborted", "aborted", "The server stopped the step.")


def is_to_run(command: CommandOffer, so_far: Verdict) -> bool:
    """After a failure only what cleans up."""
    return so_far.result == "passed" or (command.type == TEARDOWN and so_far.result != "aborted")


def after(command: CommandOffer, outcome: Outcome, so_far: Verdict) -> Verdict:
    """The first failure decides. A plain exit code speaks for itself and needs no reason."""
    if so_far.result != "passed" or outcome.is_success:
        return so_far
    result: Result = "infra_failed" if command.type == INFRA_SETUP else "failed"
    if outcome.ending == "stopped":
        return ABORTED
    if outcome.ending == "timed_out":
        return Verdict("failed", "timeout", f"The time was up during “{title(command)}”.")
    if outcome.ending == "not_started":
        return Verdict(
            result, "command_not_started", f"“{title(command)}” could not be started: {outcome.problem}"
        )
    if outcome.is_out_of_memory:
        return Verdict(result, "out_of_memory", f"“{title(command)}” needs more memory than it may have.")
    return Verdict(result)


def leaves_artifacts(command: CommandOffer, outcome: Outcome) -> bool:
    """Of a set-up that failed nothing is worth keeping."""
    if outcome.ending == "exited":
        return outcome.is_success or command.type != INFRA_SETUP
    return outcome.ending == "timed_out"


def title(command: CommandOffer) -> str:
    lines = (command.name or command.script).splitlines()
    return lines[0] if lines else command.id


def outcome_line(outcome: Outcome) -> str:
    seconds = f"{outcome.duration_ms / 1000:.2f} s"
    if outcome.problem is not None:
        return f"[not started: {outcome.problem}]"
    if outcome.ending == "timed_out":
        return f"[timed out after {seconds}]"
    if outcome.ending == "stopped":
        return f"[stopped after {seconds}]"
    code = outcome.return_code or 0
    if outcome.is_out_of_memory and code:
        return f"[killed after {seconds}: it needs more memory than it may have]"
    if code < 0:
        return f"[killed by {_signal_name(-code)} after {seconds}]"
    return f"[exit code {code} after {seconds}]" if code else f"[passed in {seconds}]"


def command_report(command: CommandOffer, outcome: Outcome) -> CommandReport:
    # 127 is what a shell says of a command it cannot start.
    code = 127 if outcome.ending == "not_started" else outcome.return_code
    return CommandReport(
        id=command.id,
        status="finished",
        return_code=code,
        duration_ms=outcome.duration_ms,
        output=outcome.output,
        cpu_ms=outcome.cpu_ms,
        peak_memory_kb=outcome.peak_memory_kb,
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
