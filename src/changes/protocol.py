"""The messages agent and server exchange, and their version.

Every message is JSON. The agent speaks to `<server>/api/0/agents/`:

    POST enrol/                            Enrolment -> Enrolled        one-time token in the message
    POST hello/                            Hello -> Welcome             at each start, and every ten minutes
    POST key/                              {} -> NewKey                 another key instead of its own
    POST steps/next/                       Ask -> list[StepOffer]       held until there is a step
    POST heartbeat/                        Heartbeat -> HeartbeatAnswer held until there is something to stop
    POST steps/<id>/report/                StepReport -> Accepted
    POST steps/<id>/logs/<name>/?offset=N  bytes -> LogAccepted         409 tells the expected one
    PUT  steps/<id>/artifacts/<path>       bytes -> Accepted
    PUT  steps/<id>/uploads/<path>?offset=N&size=S   part of a large artifact -> LogAccepted  409 as for logs
    POST steps/<id>/artifacts/             ArtifactBatch -> ArtifactsRefused    many small ones
    GET  steps/<id>/patch/                 -> bytes of a unified diff
    GET  steps/<id>/logins/                -> list[Login]               the agent's own key alone opens it
    PUT  steps/<id>/blobs/<sha256>/?offset=N&size=S  part of what is kept -> LogAccepted  409 as for logs
    GET  steps/<id>/blobs/<sha256>/?offset=N  -> bytes from there on, of what the step may have
    POST steps/<id>/caches/find/           CacheAsk -> CacheFound
    POST steps/<id>/caches/                CacheSave -> Accepted        its bytes were sent before
    POST steps/<id>/snapshot/              SnapshotMade -> Accepted     likewise

All but the first carry `Authorization: Bearer <the agent's own key>`; what is about one step is
accepted with that step's token too. Each carries `Changes-Protocol: <VERSION>`. Everything may be sent
twice. 410 for a step means: it is over, or no longer yours; stop it and forget it. A server of version 1
knows neither hello/ nor key/ and answers 404; its agents say who they are by enrolling only.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

VERSION = 2
VERSION_HEADER = "Changes-Protocol"
# With the bytes of a log: `byte of this piece:milliseconds since it was read`, several of them.
READ_HEADER = "Changes-Read"
# Longest time either side holds a request open; proxies usually cut at 60 s.
HOLD_MAX_S = 55.0
CONSOLE = "console"
# What a server takes at once, and what every server takes, however old.
LOG_CHUNK_MAX_BYTES, LOG_CHUNK_SURE_BYTES = 2 * 1024 * 1024, 1024 * 1024
# What may come with the last report.
LOG_END_MAX_BYTES = 64 * 1024
BATCH_MAX_FILES = 256
# Of a batch as it is sent, and of one part of a large artifact.
BATCH_MAX_BYTES, PART_MAX_BYTES = 4 * 1024 * 1024, 8 * 1024 * 1024

Backend = Literal["git", "hg"]
Slots = Annotated[int, Meta(ge=0, le=1024)]
Size = Annotated[int, Meta(ge=0, le=2**31 - 1)]
ReturnCode = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
# Up to thirty years: a broken clock on the agent must not break the server's arithmetic.
DurationMs = Annotated[int, Meta(ge=0, le=10**12)]


class Machine(Struct, frozen=True, kw_only=True):
    """What an agent says of itself and of where it works."""

    name: str
    slots: Slots = 1
    labels: dict[str, str] = {}
    # What steps may ask for; 0 = not told, and nothing is counted then.
    cpus: Size = 0
    memory_mb: Size = 0
    # Kinds of sandboxes that work there, and which limits it can hold steps to.
    sandboxes: list[str] = []
    limits: list[str] = []
    protocol: int = VERSION
    version: str = ""


class Enrolment(Machine, frozen=True, kw_only=True):
    token: str


class Enrolled(Struct, frozen=True, kw_only=True):
    token: str
    node_id: str


class Hello(Machine, frozen=True, kw_only=True):
    # At a start: the steps it still has, to run or to report. None = it did not start just now.
    steps: list[str] | None = None
    # Why it takes no steps for now, in words.
    problem: str = ""
    # The same from one start to the next: two agents with one key have two.
    run: str = ""


class Welcome(Struct, frozen=True, kw_only=True):
    """How the server knows this agent, and what it can take."""

    name: str
    protocol: int
    version: str = ""
    # It wants the agent to ask for another key.
    is_key_due: bool = False
    log_chunk_max_bytes: int = LOG_CHUNK_SURE_BYTES
    artifact_max_bytes: int | None = None
    # What is left of a log may come with the last report.
    takes_log_end: bool = False


class NewKey(Struct, frozen=True, kw_only=True):
    """The old one is good until the agent has used this one, and for some minutes after that."""

    token: str


class Ask(Struct, frozen=True, kw_only=True):
    """I have this many free slots; hold the request up to wait_s if there is nothing."""

    slots: int
    wait_s: float = HOLD_MAX_S
    protocol: int = VERSION
    # All it has, when an answer may have got lost: what else it was given is offered to it once more.
    held: list[str] | None = None


class Checkout(Struct, frozen=True, kw_only=True):
    """`sha` may be any name of a commit where it is one of the other checkouts of a step."""

    backend: Backend
    url: str
    sha: str
    path: str = "source"
    has_patch: bool = False
    # So much of the history only; 0 = all of it. This and what follows are for git.
    depth: Annotated[int, Meta(ge=0)] = 0
    # These files and folders only; none = all of them.
    sparse: list[str] = []
    submodules: bool = False
    lfs: bool = False


class Login(Struct, frozen=True, kw_only=True):
    """How to enter the repository of this address. Kept in memory only, and never shown to a command."""

    url: str
    username: str = ""
    password: str = ""
    ssh_key: str = ""
    known_hosts: str = ""

    def __repr__(self) -> str:
        return f"Login(url={self.url!r})"


class CommandOffer(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    script: str
    cwd: str = ""
    env: dict[str, str] = {}
    artifacts: list[str] = []
    type: str = "default"
    captures_output: bool = False


class Limits(Struct, frozen=True, kw_only=True):
    """What a step may use at most; 0 = what the agent thinks right."""

    memory_mb: Size = 0
    pids: Size = 0
    cpus: Annotated[float, Meta(ge=0, le=4096)] = 0
    # Of each of its logs.
    log_mb: Size = 0


class CacheOffer(Struct, frozen=True, kw_only=True):
    """What may be there already: `key` holds names of files that the agent fills in after the checkout."""

    key: str
    paths: list[str]
    # Beginnings of keys that will do where the key itself is new; the first that fits counts.
    restore_keys: list[str] = []


class SnapshotOffer(Struct, frozen=True, kw_only=True):
    """The state of a machine that somebody has set up before, and where its bytes are."""

    image: str
    sha256: str
    size_bytes: int = 0
    # archive: folders; podman, lxc: those, and what the step has left in its container.
    kind: str = "archive"


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
    # False for what strangers wrote: no secrets, and nothing weaker than a sandbox with limits.
    trusted: bool = True
    # Where to run it; empty = the agent's choice. The image is for sandboxes that need one.
    sandbox: str = ""
    image: str = ""
    # None = not said: trusted steps have a network.
    network: bool | None = None
    limits: Limits = Limits()
    # Variables whose values are hidden in all that the agent passes on.
    secrets: dict[str, str] = {}
    # Opens this step only; empty from a server of version 1.
    token: str = ""
    caches: list[CacheOffer] = []
    # With this its set-up is done already.
    snapshot: SnapshotOffer | None = None
    # This step is to make that image, of these folders.
    expected_snapshot: str = ""
    snapshot_paths: list[str] = []


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
    # None where nobody counted.
    cpu_ms: DurationMs | None = None
    peak_memory_kb: Annotated[int, Meta(ge=0, le=2**40)] | None = None


class LogEnd(Struct, frozen=True, kw_only=True):
    """The last bytes of a log, with the report that ends its step; before them there were so many."""

    name: str
    offset: Annotated[int, Meta(ge=0, le=2**62)]
    # Base64 on the wire.
    data: Annotated[bytes, Meta(max_length=LOG_END_MAX_BYTES)]
    # As in Changes-Read.
    times: str = ""


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
    # Stored before the step ends, or neither is; a 409 tells the expected byte, as for logs.
    log_end: LogEnd | None = None


class Accepted(Struct, frozen=True):
    """The message is stored durably."""


class LogAccepted(Struct, frozen=True, kw_only=True):
    """All bytes before this offset are on disk."""

    offset: int


class SmallArtifact(Struct, frozen=True, kw_only=True):
    # Percent-encoded, because the names of files are bytes and need not be text.
    path: str
    sha256: str
    # Base64 on the wire.
    content: bytes


class ArtifactBatch(Struct, frozen=True, kw_only=True):
    files: Annotated[list[SmallArtifact], Meta(max_length=BATCH_MAX_FILES)]


class ArtifactsRefused(Struct, frozen=True, kw_only=True):
    """Of a batch: by their paths as they were sent, and why. All others are stored durably."""

    refused: dict[str, str] = {}


class CardToSay(Struct, frozen=True, kw_only=True):
    """What a command of a step has to tell its readers, in Markdown; without a text it is taken back."""

    key: str
    text: str = ""
    style: str = "info"
    title: str = ""
    # Behind what the card says already.
    append: bool = False
    # Told again with the same number, it is the same and not another one.
    number: str = ""


class CacheAsk(Struct, frozen=True, kw_only=True):
    key: str
    restore_keys: list[str] = []


class CacheFound(Struct, frozen=True, kw_only=True):
    """Empty when there is none."""

    key: str = ""
    sha256: str = ""
    size_bytes: int = 0


class CacheSave(Struct, frozen=True, kw_only=True):
    key: str
    sha256: str


class SnapshotMade(Struct, frozen=True, kw_only=True):
    """Without a digest it could not be made, and `problem` says why."""

    image: str
    sha256: str = ""
    kind: str = "archive"
    problem: str = ""
