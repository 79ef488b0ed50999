"""The messages agent and server exchange, and their version.

Every message is JSON. The agent speaks to `<server>/api/0/agents/`:

    POST enrol/                            Enrolment -> Enrolled        one-time token in the message
    POST steps/next/                       Ask -> list[StepOffer]       held until there is a step
    POST heartbeat/                        Heartbeat -> HeartbeatAnswer held until there is something to stop
    POST steps/<id>/report/                StepReport -> Accepted
    POST steps/<id>/logs/<name>/?offset=N  bytes -> LogAccepted         409 tells the expected one
    PUT  steps/<id>/artifacts/<path>       bytes -> Accepted
    GET  steps/<id>/patch/                 -> bytes of a unified diff

All but the first carry `Authorization: Bearer <the agent's own token>`. Everything may be
sent twice. 410 for a step means: it is over, or no longer yours; stop it and forget it.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

VERSION = 1
VERSION_HEADER = "Changes-Protocol"
# Longest time either side holds a request open; proxies usually cut at 60 s.
HOLD_MAX_S = 55.0
CONSOLE = "console"
LOG_CHUNK_MAX_BYTES = 1024 * 1024

Backend = Literal["git", "hg"]
Slots = Annotated[int, Meta(ge=0, le=1024)]
Size = Annotated[int, Meta(ge=0, le=2**31 - 1)]
ReturnCode = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
# Up to thirty years: a broken clock on the agent must not break the server's arithmetic.
DurationMs = Annotated[int, Meta(ge=0, le=10**12)]


class Enrolment(Struct, frozen=True, kw_only=True):
    token: str
    name: str
    slots: Slots = 1
    labels: dict[str, str] = {}
    # What steps may ask for; 0 = not told, and nothing is counted then.
    cpus: Size = 0
    memory_mb: Size = 0
    protocol: int = VERSION
    version: str = ""


class Enrolled(Struct, frozen=True, kw_only=True):
    token: str
    node_id: str


class Ask(Struct, frozen=True, kw_only=True):
    """I have this many free slots; hold the request up to wait_s if there is nothing."""

    slots: int
    wait_s: float = HOLD_MAX_S
    protocol: int = VERSION


class Checkout(Struct, frozen=True, kw_only=True):
    """`sha` may be any name of a commit where it is one of the other checkouts of a step."""

    backend: Backend
    url: str
    sha: str
    path: str = "source"
    has_patch: bool = False


class CommandOffer(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    script: str
    cwd: str = ""
    env: dict[str, str] = {}
    artifacts: list[str] = []
    type: str = "default"
    captures_output: bool = False


class StepOffer(Struct, frozen=True, kw_only=True):
    """One attempt at one piece of work, frozen: nothing else is needed to run it."""

    id: str
    name: str
    project: str
    build: str
    checkout: Checkout | None
    commands: list[CommandOffer]
    env: dict[str, str] = {}
    timeout_s: float | None = None
    # Of other repositories, each in a folder beside the main one.
    other_checkouts: list[Checkout] = []


class Heartbeat(Struct, frozen=True, kw_only=True):
    """These steps are alive here; answer after wait_s, or at once when one must stop."""

    steps: list[str]
    wait_s: float = 0.0


class HeartbeatAnswer(Struct, frozen=True, kw_only=True):
    """Steps the agent must stop: aborted, timed out, or no longer its own."""

    stop: list[str] = []


class CommandReport(Struct, frozen=True, kw_only=True):
    id: str
    status: Literal["in_progress", "finished"]
    return_code: ReturnCode | None = None
    duration_ms: DurationMs | None = None
    output: str | None = None


class StepReport(Struct, frozen=True, kw_only=True):
    """What has become of a step.

    `released` hands it back unfinished (the agent stops, or lost it in a crash): the server
    makes a new attempt. `reason` and `message` say why a result is not `passed`; durations
    are the agent's, points in time are always the server's.
    """

    status: Literal["in_progress", "finished", "released"]
    result: Literal["passed", "failed", "infra_failed", "aborted"] | None = None
    reason: str | None = None
    message: str | None = None
    duration_ms: DurationMs | None = None
    commands: list[CommandReport] = []


class Accepted(Struct, frozen=True):
    """The message is stored durably."""


class LogAccepted(Struct, frozen=True, kw_only=True):
    """All bytes before this offset are on disk."""

    offset: int
