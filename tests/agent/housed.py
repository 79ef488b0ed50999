"""An agent that houses its steps as it would outside of tests: own account, sandboxes, limits."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace
from tests.agent.running import running_agent
from tests.fakes.coordinator import Coordinator, StepSeen

from changes.agent.sandboxes import housing
from changes.agent.sandboxes.housing import Housing
from changes.protocol import StepOffer, StepReport

IDENTITY = '{"server": "here", "token": "of-the-agent"}'


@dataclass
class House:
    coordinator: Coordinator
    housing: Housing
    home: Path
    kind: str
    # For the kinds that need one.
    image: str = ""
    steps: int = 0

    @property
    def works(self) -> bool:
        return self.kind in self.housing.kinds

    @property
    def is_apart(self) -> bool:
        """Whether steps are kept from the processes and files of the agent."""
        return self.kind != "process" or not self.housing.account.is_own

    def offer(self, offer: StepOffer) -> StepSeen:
        """Under an id of its own, in the sandbox of this house."""
        self.steps += 1
        own = {"id": f"{self.kind}-{self.steps}", "sandbox": self.kind, "image": offer.image or self.image}
        return self.coordinator.offer(replace(offer, **own))

    def run(self, offer: StepOffer) -> tuple[StepSeen, StepReport]:
        step = self.offer(offer)
        return step, self.coordinator.final_of(step)


def refused_here(report: StepReport) -> bool:
    """What happens where this sandbox does not work: it is said, and nothing is run."""
    is_said = report.reason == "sandbox_missing" and "has only" in (report.message or "")
    return is_said and report.result == "infra_failed" and not report.commands


@contextmanager
def a_house(kind: str) -> Iterator[House]:
    """Its folder can be reached by the account of steps, which those of pytest cannot."""
    folder = Path(tempfile.mkdtemp(prefix="changes-house-"))
    folder.chmod(0o711)
    home = folder / "agent"
    home.mkdir(mode=0o700)
    identity = home / "identity.json"
    identity.write_text(IDENTITY)
    identity.chmod(0o600)
    coordinator = Coordinator()
    housed = housing.look(home)
    try:
        with running_agent(coordinator, home, housing=housed):
            yield House(coordinator, housed, home, kind)
    finally:
        coordinator.go_away()
        housed.trees.leave()
        shutil.rmtree(folder)


def host_processes_with(word: str) -> list[int]:
    """Whoever has it in his command line, in whatever namespace."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if word.encode() in line:
                found.append(int(entry.name))
    return found
