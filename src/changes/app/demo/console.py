"""What commands of the demo print: set-up, linters, test runners, with the colours they use."""

import base64
from collections.abc import Iterator, Sequence
from datetime import datetime

from changes.app.demo import left
from changes.app.demo.dice import Dice
from changes.app.demo.play import Attempt, Ran
from changes.app.demo.suites import Run
from changes.builds.rules import Result

RED, GREEN, YELLOW, CYAN, DIM, BOLD, OFF = (f"\033[{code}m" for code in (31, 32, 33, 36, 2, 1, 0))
PACKAGES = (
    "anyio", "attrs", "certifi", "click", "fastapi", "greenlet", "h11", "httpx", "idna", "jinja2",
    "msgspec", "orjson", "psycopg", "pydantic", "pytest", "pytest-xdist", "sqlalchemy", "starlette",
    "structlog", "uvicorn",
)  # fmt: skip
SHOWN = {
    Result.PASSED: f"{GREEN}PASSED{OFF}",
    Result.FAILED: f"{RED}FAILED{OFF}",
    Result.SKIPPED: f"{YELLOW}SKIPPED{OFF}",
}
LONG_CHANCE, LONG_LINES = 0.02, 6000
MS_PER_S = 1000


def junit(runs: Sequence[Run]) -> bytes:
    """The report that the test runner leaves behind; the first failure has a picture in it."""
    failed = next((run for run in runs if run.result == Result.FAILED), None)
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f'<testsuite name="demo" tests="{len(runs)}">']
    for run in runs:
        test = run.test
        seconds = run.duration_ms / MS_PER_S
        case = f'<testcase classname="{test.class_name}" name="{test.name}" time="{seconds:.3f}"'
        inside = inner(run) + (picture_in(run) if run is failed else "")
        lines.append(f"  {case}>{inside}</testcase>" if inside else f"  {case}/>")
    return "\n".join([*lines, "</testsuite>", ""]).encode()


def inner(run: Run) -> str:
    if run.result == Result.FAILED:
        text = run.message.replace("&", "&amp;").replace("<", "&lt;")
        return f"<failure>{text}</failure>"
    return "<skipped/>" if run.result == Result.SKIPPED else ""


def picture_in(run: Run) -> str:
    encoded = base64.b64encode(left.picture(len(run.test.name))).decode()
    about = f'name="{left.IN_REPORT}" type="image"'
    return f'<test-artifacts><artifact {about} base64="{encoded}"/></test-artifacts>'


def of_attempt(dice: Dice, attempt: Attempt, runs: Sequence[Run], until: datetime) -> bytes:
    lines: list[str] = []
    for ran in attempt.commands:
        if ran.date_started is None:
            break
        lines.append(f"$ {ran.shape.script}")
        body = list(of_command(dice, ran, runs))
        if ran.date_finished is None:
            lines += body[: shown_lines(ran, len(body), until)]
            break
        lines += [*body, ending(ran)]
    if attempt.why is not None and not lines:
        lines.append(str(attempt.why.facts.get("message", "")))
    return "".join(f"{line}\n" for line in lines).encode()


def shown_lines(ran: Ran, lines: int, until: datetime) -> int:
    """The longer it runs, the more of it is there."""
    runs_for_s = (until - (ran.date_started or until)).total_seconds()
    return min(lines, 1 + round(runs_for_s / 3))


def ending(ran: Ran) -> str:
    seconds = ((ran.date_finished or ran.date_started) - ran.date_started).total_seconds()  # type: ignore[operator]
    return (
        f"[exit code {ran.return_code} after {seconds:.2f} s]"
        if ran.return_code
        else f"[passed in {seconds:.2f} s]"
    )


def of_command(dice: Dice, ran: Ran, runs: Sequence[Run]) -> Iterator[str]:
    if ran.shape.tool in {"pytest", "vitest"} and runs:
        yield from of_tests(dice, runs)
        return
    if ran.shape.tool == "bazel" and runs:
        yield from of_targets(dice, runs)
        return
    yield from WRITERS.get(ran.shape.tool, plain)(dice)
    if ran.return_code:
        yield from complaint(dice, ran.shape.tool)


def of_tests(dice: Dice, runs: Sequence[Run]) -> Iterator[str]:
    yield f"{BOLD}============================= test session starts ============================={OFF}"
    yield f"platform linux -- Python 3.13.1, pytest-9.2.0, seed {dice.randrange(10**9)}"
    yield f"4 workers [{len(runs)} items]"
    for number, run in enumerate(runs, start=1):
        if run.reruns:
            yield f"[gw{number % 4}] {YELLOW}RERUN{OFF} {run.test.full_name}"
        share = 100 * number // len(runs)
        yield f"[gw{number % 4}] {CYAN}[{share:3d}%]{OFF} {SHOWN[run.result]} {run.test.full_name}"
    if dice.chance(LONG_CHANCE):
        yield from chatter(dice, LONG_LINES)
    failed = [run for run in runs if run.result == Result.FAILED]
    for run in failed:
        yield f"{RED}{BOLD}____________________ {run.test.name} ____________________{OFF}"
        yield from (f"{RED}E   {line}{OFF}" for line in run.message.splitlines())
    colour = RED if failed else GREEN
    seconds = sum(run.duration_ms for run in runs) / MS_PER_S
    passed = len(runs) - len(failed)
    yield f"{colour}====== {len(failed)} failed, {passed} passed in {seconds:.2f}s ======{OFF}"


def of_targets(dice: Dice, runs: Sequence[Run]) -> Iterator[str]:
    """A line for each test, as `bazel test --test_output=errors` ends."""
    actions = dice.randint(40, 900)
    yield f"{GREEN}INFO:{OFF} Analyzed {len(runs)} targets ({dice.randint(3, 60)} packages loaded)."
    yield f"{GREEN}[{actions} / {actions}]{OFF} no actions running"
    for run in runs:
        seconds = run.duration_ms / MS_PER_S
        shown = SHOWN[run.result] if run.result != Result.SKIPPED else f"{YELLOW}NO STATUS{OFF}"
        yield f"//ledger:{run.test.full_name:<60} {shown} in {seconds:.1f}s"
        yield from (f"{RED}E   {line}{OFF}" for line in run.message.splitlines())
    failed = sum(run.result == Result.FAILED for run in runs)
    yield f"Executed {len(runs)} out of {len(runs)} tests: {len(runs) - failed} pass, {failed} fail."


def chatter(dice: Dice, lines: int) -> Iterator[str]:
    for number in range(lines):
        took_ms = dice.randint(1, 80)
        yield f"{DIM}{number:06d}{OFF} DEBUG orbit.http GET /items/{dice.randrange(9999)} 200 [{took_ms} ms]"


def pip(dice: Dice) -> Iterator[str]:
    yield f"{DIM}Resolved {len(PACKAGES)} packages in {dice.randint(4, 40)}ms{OFF}"
    yield "::group::Packages"
    for name in PACKAGES:
        yield f" {GREEN}+{OFF} {BOLD}{name}{OFF}=={dice.randint(0, 9)}.{dice.randint(0, 30)}"
    yield "::endgroup::"


def npm(dice: Dice) -> Iterator[str]:
    if dice.chance(0.3):
        yield f"{YELLOW}npm warn deprecated{OFF} inflight@1.0.6: This module is not supported"
    yield f"added {dice.randint(600, 1200)} packages in {dice.randint(4, 30)}s"
    yield f"found {BOLD}0{OFF} vulnerabilities"


def gradle(dice: Dice) -> Iterator[str]:
    tasks = ("preBuild", "compileKotlin", "mergeResources", "dexBuilder", "packageDebug", "lint", "check")
    for task in tasks:
        yield f"> Task :app:{task}{' UP-TO-DATE' if dice.chance(0.3) else ''}"
    yield f"{dice.randint(40, 160)} actionable tasks: {dice.randint(8, 39)} executed"


def docker(dice: Dice) -> Iterator[str]:
    steps = (
        "FROM debian:trixie-slim",
        "RUN apt-get install",
        "COPY pyproject.toml uv.lock",
        "RUN uv sync",
        "COPY src",
    )
    for number, step in enumerate(steps, start=1):
        cached = f"{GREEN}CACHED{OFF}" if dice.chance(0.6) else f"DONE {dice.uniform(0.2, 40):.1f}s"
        yield f"#{number + 4} [{number}/{len(steps)}] {step}"
        yield f"#{number + 4} {cached}"


def plain(dice: Dice) -> Iterator[str]:
    yield from (f"{DIM}[{number}/8]{OFF} working, {dice.randint(10, 900)} items" for number in range(1, 9))


def complaint(dice: Dice, tool: str) -> list[str]:
    """In the words of the tools themselves: the line that says why, and what follows from it."""
    line, error = dice.randint(10, 300), f"{RED}{BOLD}error{OFF}"
    found = {
        "ruff": [
            f"src/app/service.py:{line}:5: {RED}F841{OFF} Local variable `answer` is never used",
            "Found 1 error.",
        ],
        "mypy": [
            f'src/app/service.py:{line}: {error}: Incompatible return value type (got "None")',
            "Found 1 error in 1 file (checked 212 source files)",
        ],
        "npm": [
            f"src/pages/Checkout.tsx({line},11): {error} TS2345: Type 'undefined' is not assignable.",
            "npm error code ELIFECYCLE",
        ],
        "gradle": [
            f"e: file:///src/app/Login.kt:{line}:17 Unresolved reference: sessionStore",
            "> Task :app:compileDebugKotlin FAILED",
            "FAILURE: Build failed with an exception.",
        ],
        "docker": [
            f"#9 {line / 10:.1f} E: Failed to fetch http://deb.debian.org/debian/pool/main/o/openssl.deb",
            'ERROR: failed to solve: process "/bin/sh -c uv sync" did not complete: exit code: 1',
        ],
    }
    return found.get(tool, [f"{error}: item {line} does not match its checksum"])


WRITERS = {"pip": pip, "npm": npm, "gradle": gradle, "docker": docker}
