"""How the queue is put into words: what holds a line up, and what its steps need. Pure."""

from dataclasses import dataclass
from urllib.parse import quote

from changes.builds import housing, waiting
from changes.builds.lanes import Needs
from changes.builds.queue_look import LaneLine, Look
from changes.builds.waiting import Explanation
from changes.builds.waiting_rules import Block, Waiting
from changes.web.pages import phrasing

WORDS = {
    Block.NOT_YET: "a pause",
    Block.DISK_FULL: "a disk is full",
    Block.NO_AGENTS: "no agent",
    Block.NEVER: "no machine could ever run it",
    Block.AWAY: "its machines are silent",
    Block.OUT: "its machines are out",
    Block.PAUSED: "paused",
    Block.LIMIT: "limit of the project",
    Block.GROUP_LIMIT: "limit of a group",
    Block.NO_ROOM: "no machine has room",
    Block.KEPT: "kept free for another",
    Block.BUSY: "all machines are busy",
    Block.NEXT: "next in line",
}
REASONS = [("", "Any"), *((block.value, words) for block, words in WORDS.items() if block != Block.NOT_YET)]
# Somebody has to do something about these.
TONES = {Block.NO_AGENTS: "failed", Block.NEVER: "failed", Block.AWAY: "infra", Block.OUT: "infra"}
TONES |= {
    Block.DISK_FULL: "failed",
    Block.PAUSED: "quarantined",
    Block.LIMIT: "quarantined",
    Block.GROUP_LIMIT: "quarantined",
}


@dataclass(frozen=True)
class NextStep:
    """What somebody can do about it, and where."""

    text: str
    href: str


def next_step(why: Waiting, slug: str) -> NextStep | None:
    """Nothing where only time helps."""
    settings = f"/projects/{slug}/settings/"
    machine = f"/nodes/?query={quote(why.machines[0])}" if len(why.machines) == 1 else "/nodes/"
    steps = {
        Block.NO_AGENTS: NextStep("Start an agent", "/nodes/"),
        Block.NEVER: NextStep("Mend the plan, or add such a machine", f"/projects/{slug}/plans/"),
        Block.AWAY: NextStep("Look after the machines", machine),
        Block.OUT: NextStep("Let the machines work again", machine),
        Block.DISK_FULL: NextStep("See where the bytes are", "/admin/disk/"),
        Block.PAUSED: NextStep("Raise the limit", "/queue/#groups" if is_of_group(why, slug) else settings),
        Block.LIMIT: NextStep("Raise the limit", settings),
        Block.GROUP_LIMIT: NextStep("Raise the limit", "/queue/#groups"),
    }
    return steps.get(why.block)


def is_of_group(why: Waiting, slug: str) -> bool:
    return why.limit is not None and why.limit.name != slug


def why_and_when(told: Explanation) -> str:
    """Of a step that waits."""
    if told.estimate is None:
        return told.waiting.sentence
    start, about = (
        phrasing.duration(each) for each in (told.estimate.start_in_s, told.estimate.plus_minus_s)
    )
    return f"{told.waiting.sentence} It starts in about {start}, give or take {about}."


@dataclass(frozen=True)
class LaneShown:
    line: LaneLine
    why: Waiting

    @property
    def word(self) -> str:
        return WORDS[self.why.block]

    @property
    def tone(self) -> str:
        return TONES.get(self.why.block, "")

    @property
    def next_step(self) -> NextStep | None:
        return next_step(self.why, self.line.project)

    @property
    def needs(self) -> list[str]:
        return words_of_needs(self.line.needs, self.line.group)


def words_of_needs(needs: Needs, group: str | None) -> list[str]:
    words = [f"cluster: {needs.cluster}"] if needs.cluster else []
    words += [f"{name}: {value}" for name, value in housing.own_labels(needs.labels).items()]
    words += [
        housing.words_of_label(name, value)
        for name, value in needs.labels.items()
        if name.startswith(housing.FOUND)
    ]
    words += [f"{needs.cpus} cpus"] if needs.cpus else []
    words += [f"{needs.memory_mb} MB"] if needs.memory_mb else []
    return [*words, *([f"group: {group}"] if group else [])]


def explained(seen: Look, line: LaneLine) -> LaneShown:
    return LaneShown(line, waiting.of_lane(seen, line))
