"""What this machine can house: found out once, when the agent starts, and told to the server."""

import hashlib
import logging
import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from changes.agent import accounts, cgroups
from changes.agent.accounts import ROOT, Account
from changes.agent.cgroups import Amounts, Group, Trees
from changes.agent.errors import AgentError
from changes.agent.sandboxes import bubblewrap, lxc, podman
from changes.agent.sandboxes.choice import BUBBLEWRAP, LXC, PODMAN, PROCESS, Choice, Offered
from changes.agent.sandboxes.process import ProcessSandbox
from changes.agent.sandboxes.role import Ground, Sandbox
from changes.protocol import Limits

MAKERS: dict[str, Callable[[Ground], Sandbox]] = {
    PROCESS: ProcessSandbox,
    BUBBLEWRAP: bubblewrap.BubblewrapSandbox,
    LXC: lxc.LxcSandbox,
    PODMAN: podman.PodmanSandbox,
}
# Enough for a build that is parallel without measure, too few to take all numbers of the system.
PIDS_MAX = 8192
STRANGERS_PIDS_MAX = 1024
STRANGERS_MEMORY_SHARE = 2
MEGABYTE = 2**20
# Others may go through to what is theirs, and see nothing.
WAY_THROUGH = 0o711

log = logging.getLogger("changes.agent")


@dataclass(frozen=True)
class Housing:
    """Without looking: plain processes under the account of the agent, and no limits."""

    home: Path
    account: Account = field(default_factory=lambda: Account("", os.geteuid(), os.getegid()))
    kinds: tuple[str, ...] = (PROCESS,)
    usual: str = ""
    trees: Trees = field(default_factory=lambda: Trees({}))
    hidden: tuple[Path, ...] = ()

    @property
    def offered(self) -> Offered:
        return Offered(self.kinds, self.trees.limits, self.usual)

    def group_for(self, step_id: str, kind: str, limits: Limits) -> Group | None:
        """Containers have groups of their own. Raises OSError where the system refuses."""
        if kind in (LXC, PODMAN) or not self.trees.limits:
            return None
        amounts = Amounts(limits.memory_mb, limits.pids, limits.cpus)
        return self.trees.make(step_id, amounts)

    def sandbox(self, choice: Choice, ground: Ground) -> Sandbox:
        for folder in ground.writable:
            self.account.own_all(folder)
        if not self.account.is_own:
            for folder in (ground.folder.path.parent, ground.folder.path, ground.folder.scripts):
                folder.chmod(WAY_THROUGH)
        return MAKERS[choice.kind](ground)


def limits_for(asked: Limits, *, is_trusted: bool) -> Limits:
    """Strangers do not say how much they get, they only may say less."""
    pids, memory_mb = asked.pids or PIDS_MAX, asked.memory_mb
    if not is_trusted:
        share_mb = (
            os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MEGABYTE // STRANGERS_MEMORY_SHARE
        )
        pids = min(pids, STRANGERS_PIDS_MAX)
        memory_mb = min(memory_mb or share_mb, share_mb)
    return Limits(memory_mb=memory_mb, pids=pids, cpus=asked.cpus, log_mb=asked.log_mb)


def look(home: Path, *, usual: str = "", account_name: str = "") -> Housing:
    """Costs some ten milliseconds. Raises NoAccount where steps would have to run as root."""
    account = accounts.of_steps(account_name)
    open_way(home, account)
    kinds = [PROCESS]
    if bubblewrap.works(run_as(account)):
        kinds.append(BUBBLEWRAP)
    if lxc.works():
        kinds.append(LXC)
    if podman.works():
        podman.write_settings(home)
        kinds.append(PODMAN)
    # Of one agent: two of them on one machine do not share their groups.
    trees = cgroups.find(f"changes-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}")
    trees.sweep()
    if usual and usual not in kinds:
        log.error("The sandbox %s does not work here; there are: %s.", usual, ", ".join(kinds))
    log.info("Steps run as %s; sandboxes: %s; limits: %s.", account.name, ", ".join(kinds), words(trees))
    return Housing(home, account, tuple(kinds), usual, trees, hidden_of(home))


def open_way(home: Path, account: Account) -> None:
    """The account of steps may pass the agent's own folder, not read it; further up nothing is changed."""
    if account.is_own:
        return
    home.chmod(WAY_THROUGH)
    closed = account.closed_to(home / "steps")
    if closed is not None:
        raise AgentError(
            f"Steps run as the account {account.name}, to which {closed} is closed: choose a folder"
            f" elsewhere with --home, or run chmod o+x {closed}."
        )


def run_as(account: Account) -> dict[str, Any]:
    if account.is_own or account.uid == ROOT:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def words(trees: Trees) -> str:
    return ", ".join(trees.limits) or "none, because no control group can be written to"


def hidden_of(home: Path) -> tuple[Path, ...]:
    """The agent's own folder; beside a server, the server's; and the home of the account it runs as."""
    parent = home.parent
    found = [parent if (parent / "secret_key").exists() else home]
    own = Path(pwd_folder())
    if own not in (Path("/"), Path("/nonexistent")):
        found.append(own)
    return tuple(found)


def pwd_folder() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return "/"
