"""What the team builds, and how: projects, their plans, what each command does."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, count, islice, product
from typing import Any

from changes.app.demo.people import DOMAIN

HOST = f"https://git.{DOMAIN}"


@dataclass(frozen=True)
class CommandShape:
    label: str
    script: str
    # Its part of the time of its step.
    share: float
    type: str = "default"
    tool: str = "plain"
    artifacts: tuple[str, ...] = ()
    # What it does one after the other and tells of in phases.json, each with its part of the time.
    phases: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class StepShape:
    commands: tuple[CommandShape, ...]
    minutes: float
    # What its tests are called together; empty: it runs none.
    suite: str = ""
    shards: int = 1

    def recipe(self, cluster: str) -> dict[str, Any]:
        """As it stands in the plan."""
        commands = [
            {"label": c.label, "script": c.script, "type": c.type, "artifacts": list(c.artifacts)}
            for c in self.commands
        ]
        return {"commands": commands, "cluster": cluster}


@dataclass(frozen=True)
class PlanShape:
    label: str
    steps: tuple[StepShape, ...]
    cluster: str = "linux"


@dataclass(frozen=True)
class ProjectShape:
    slug: str
    name: str
    plans: tuple[PlanShape, ...]
    # How much of all builds are its builds.
    share: float = 1.0
    # Projects of one repository are built together.
    repository: str = ""
    tests: int = 60
    words: tuple[str, ...] = field(default=("core", "api"))
    is_active: bool = True

    @property
    def url(self) -> str:
        return f"{HOST}/{self.repository or self.slug}.git"


REPORT = ("junit.xml",)
SYNC = CommandShape("Install", "uv sync --frozen", 0.15, "setup", "pip")
PYTEST = CommandShape("Tests", "uv run pytest -n 4 --junitxml=junit.xml", 0.85, "default", "pytest", REPORT)
RUFF = CommandShape("ruff", "uv run ruff check .", 0.25, tool="ruff")
MYPY = CommandShape("mypy", "uv run mypy --strict src", 0.6, tool="mypy")
NPM = CommandShape("Install", "npm ci", 0.3, "setup", "npm")
VITEST = CommandShape("Unit tests", "npx vitest run --reporter=junit", 0.7, "default", "vitest", REPORT)
BUNDLE = CommandShape("Bundle", "npm run build", 0.7, tool="npm")
BROWSER = CommandShape(
    "Browser tests", "npx playwright test --reporter=junit", 1.0, "default", "vitest", REPORT
)
GRADLE_PHASES = (("Configure", 0.08), ("Compile Kotlin", 0.55), ("Merge resources", 0.12), ("Package", 0.25))
GRADLE = CommandShape(
    "Assemble",
    "./gradlew assembleDebug",
    1.0,
    tool="gradle",
    artifacts=("phases.json",),
    phases=GRADLE_PHASES,
)
GRADLE_TEST = CommandShape("Tests", "./gradlew connectedCheck", 1.0, "default", "gradle", REPORT)
XCODE = CommandShape("Tests", "xcodebuild test -scheme Orbit -quiet", 1.0, "default", "gradle", REPORT)
TERRAFORM = (
    CommandShape("Format", "terraform fmt -check -recursive", 0.1),
    CommandShape("Validate", "terraform validate", 0.3),
    CommandShape("Plan", "terraform plan -lock=false -out=plan.bin", 0.6),
)
DOCKER = CommandShape("Image", "docker buildx build --tag app:$CHANGES_SHA .", 1.0, tool="docker")
TRAIN = CommandShape("Train", "uv run python -m ranker.train --epochs 1 --sample 0.02", 0.9)

# What the pretended agents begin prints no list; the builds of the month are told theirs (targets.py).
FIND = CommandShape("Find targets", "sh tools/affected-targets.sh", 1.0)
BAZEL = CommandShape(
    "bazel test", "bazel test --keep_going $TARGETS", 1.0, "default", "bazel", ("**/test.xml", *REPORT)
)

TARGETS = PlanShape("targets", (StepShape((FIND,), 0.4), StepShape((BAZEL,), 4.0, "tests", shards=3)))
PY_TESTS = PlanShape("tests", (StepShape((SYNC, PYTEST), 4.0, "tests"),))
PY_LINT = PlanShape("lint and types", (StepShape((SYNC, RUFF, MYPY), 1.2),))
IMAGE = PlanShape("image", (StepShape((DOCKER,), 3.0),))
SERVICE = (PY_TESTS, PY_LINT)
SHARDED = (
    PlanShape("tests", (StepShape((SYNC,), 0.6), StepShape((PYTEST,), 6.0, "tests", shards=3))),
    PY_LINT,
    IMAGE,
)
LIBRARY = (
    PlanShape("tests py3.11", (StepShape((SYNC, PYTEST), 1.5, "tests"),)),
    PlanShape("tests py3.13", (StepShape((SYNC, PYTEST), 1.3, "tests"),)),
)
WEB = (
    PlanShape("unit tests", (StepShape((NPM, VITEST), 1.8, "unit"),)),
    PlanShape("browser tests", (StepShape((NPM, BUNDLE), 1.6), StepShape((BROWSER,), 5.0, "browser", 2))),
)
ANDROID = (
    PlanShape("app", (StepShape((GRADLE,), 5.0), StepShape((GRADLE_TEST,), 7.0, "device")), "android"),
)
IOS = (PlanShape("app", (StepShape((XCODE,), 9.0, "device"),), "macos"),)
INFRA = (PlanShape("plan", (StepShape(TERRAFORM, 2.2),)),)
MODEL = (
    PlanShape("tests", (StepShape((SYNC, PYTEST), 2.0, "tests"),)),
    PlanShape("smoke training", (StepShape((SYNC, TRAIN), 14.0),), "gpu"),
)

PROJECTS = (
    ProjectShape("orbit-api", "Orbit API", SHARDED, 3.0, "orbit", 140, ("accounts", "sessions", "search")),
    ProjectShape("web", "Orbit web", WEB, 2.6, "orbit", 110, ("cart", "checkout", "profile")),
    ProjectShape("billing", "Billing", SERVICE, 1.8, "", 90, ("invoices", "taxes", "refunds")),
    ProjectShape("ledger", "Ledger", (TARGETS, PY_LINT), 1.0, "", 70, ("postings", "balances")),
    ProjectShape("orbit-worker", "Orbit worker", SERVICE, 1.1, "orbit", 60, ("queue", "mailer")),
    ProjectShape("android", "Orbit for Android", ANDROID, 1.2, "", 50, ("login", "feed", "camera")),
    ProjectShape("ios", "Orbit for iOS", IOS, 0.9, "", 45, ("login", "feed")),
    ProjectShape("infra", "Infrastructure", INFRA, 0.8, "", 0, ("network", "dns")),
    ProjectShape("ranker", "Ranker", MODEL, 0.5, "", 40, ("features", "scoring")),
    ProjectShape("pycommon", "pycommon", LIBRARY, 0.7, "", 80, ("retry", "clock", "config")),
    ProjectShape("design-system", "Design system", WEB[:1], 0.6, "", 55, ("buttons", "forms")),
    ProjectShape("docs", "Handbook", (PY_LINT,), 0.3, "", 0, ("guides",)),
    # Just made, and not built yet.
    ProjectShape("observatory", "Observatory", SERVICE, 0.0, "", 0, ("traces",)),
    ProjectShape("legacy-portal", "Legacy portal", SERVICE, 0.0, "", 0, ("soap",), is_active=False),
)
AREAS = (
    "catalog", "pricing", "shipping", "returns", "loyalty", "fraud", "media", "chat", "push", "geo",
    "export", "audit", "consent", "partner", "quota", "rates", "stock", "tickets", "vouchers", "wallet",
)  # fmt: skip
KINDS = ("service", "gateway", "client", "jobs", "schemas", "admin", "sync", "cache", "events", "proxy")


def projects(number: int) -> list[ProjectShape]:
    """The well-known ones first; a larger firm has many small services besides."""
    return list(islice(chain(PROJECTS, small_services()), number))


def small_services() -> Iterator[ProjectShape]:
    for generation in count(1):
        suffix = f"-v{generation}" if generation > 1 else ""
        # Kinds outside, so that the first twenty are of twenty areas.
        for kind, area in product(KINDS, AREAS):
            name = f"{area} {kind}".capitalize() + suffix
            yield ProjectShape(f"{area}-{kind}{suffix}", name, SERVICE, 0.4, "", 20, (area,))
