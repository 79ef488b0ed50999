"""A step on somebody's own machine: the same checkout, patch, image and sandbox, and a shell in it."""

import os
import platform
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from changes.agent.accounts import Account
from changes.agent.checkout import Logins, Origin
from changes.agent.commands import BASE_ENVIRONMENT, command_file_name
from changes.agent.errors import AgentError
from changes.agent.keeping.bringing import Bringing, Supply
from changes.agent.keeping.bringing import Ground as Standing
from changes.agent.keeping.stock import Stock
from changes.agent.logs import PIPES_FOLDER
from changes.agent.mirrors import Mirrors
from changes.agent.offers import inside, source_of
from changes.agent.sandboxes import bubblewrap, choice, housing
from changes.agent.sandboxes.choice import BUBBLEWRAP, PROCESS, Choice
from changes.agent.sandboxes.housing import Housing
from changes.agent.sandboxes.role import Ground, dropping
from changes.agent.spool import Spool, StepFolder
from changes.agent.verdict import SET_UPS, title
from changes.protocol import StepOffer
from changes.vcs.errors import VcsError

SHELL = ("/bin/bash", "--norc", "-i")
PLAIN_SHELL = ("/bin/sh", "-i")
MARK = "reproduced"
# Goes on behind what a file has of the bytes with this digest.
Fetch = Callable[[str, Path], None]


@dataclass(frozen=True)
class Scene:
    """Everything is laid out; `differences` says in sentences what is not as it was."""

    folder: StepFolder
    source: Path
    kind: str
    words: Sequence[str]
    env: dict[str, str]
    commands: Sequence[tuple[Path, str]]
    differences: Sequence[str]

    def run(self, command: Sequence[str]) -> int:
        """A shell where there is no command; its exit code."""
        shell = SHELL if Path(SHELL[0]).exists() else PLAIN_SHELL
        argv = [*self.words, *(command or shell)]
        done = subprocess.run(argv, env=self.env, cwd=self.source, check=False)
        return done.returncode


@contextmanager
def laid_out(
    offer: StepOffer, patch: bytes | None, fetch: Fetch, home: Path, account: str
) -> Iterator[Scene]:
    """Raises AgentError and VcsError with a sentence. What was made goes when the block ends."""
    home.mkdir(mode=0o711, parents=True, exist_ok=True)
    housed = housing.look(home, account_name=account)
    spool = Spool(home)
    own = replace(offer, id=f"{offer.id}-{os.getpid()}", expected_snapshot="")
    folder = spool.open(own)
    try:
        yield _scene(own, patch, fetch, housed, folder)
    finally:
        spool.drop(folder)


def _scene(offer: StepOffer, patch: bytes | None, fetch: Fetch, housed: Housing, folder: StepFolder) -> Scene:
    said: list[str] = []
    source = source_of(offer, folder)
    mirrors = Mirrors(housed.home)
    check_out(offer, patch, mirrors, folder)
    source.mkdir(parents=True, exist_ok=True)
    chosen = chosen_here(offer, housed, said)
    snapshot = Bringing(Standing(offer, folder, housed.account, said.append), supply_of(housed.home, fetch))
    is_set_up = snapshot.bring(chosen.kind, source)
    if offer.snapshot is not None and not is_set_up:
        said.append("The snapshot is not here: run the commands that set up first.")
    for inner in ("streams", PIPES_FOLDER):
        (folder.path / inner).mkdir(exist_ok=True)
    commands = written(offer, folder, is_set_up=is_set_up)
    ground = Ground(
        folder=folder,
        mark=MARK,
        account=housed.account,
        console=Path(os.devnull),
        has_network=chosen.has_network,
        is_trusted=offer.trusted,
        hidden=housed.hidden,
        readable=mirrors.borrowed_by(folder.path),
        layers=snapshot.layers,
        home=housed.home,
    )
    give_away(ground, housed.account)
    said.append(f"This machine is {platform.system()} {platform.machine()}, {release()}.")
    env = {
        **BASE_ENVIRONMENT,
        "TERM": os.environ.get("TERM", "dumb"),
        "HOME": str(folder.home),
        "TMPDIR": str(folder.temporary),
        "CHANGES_LOGS": str(folder.path / "streams"),
        "CHANGES_CARDS": str(folder.path / "streams"),
        **offer.env,
        **{name: value for command in offer.commands[:1] for name, value in command.env.items()},
    }
    return Scene(folder, source, chosen.kind, words_before(ground, chosen, source), env, commands, said)


def supply_of(home: Path, fetch: Fetch) -> Supply:
    return Supply(Stock(home), fetch, lambda: False)


def check_out(offer: StepOffer, patch: bytes | None, mirrors: Mirrors, folder: StepFolder) -> None:
    """With whatever lets this person into the repository; the server lends nobody its own keys."""
    logins = Logins(list)
    for wanted in filter(None, (offer.checkout, *offer.other_checkouts)):
        try:
            tree = Origin(mirrors, wanted, logins, folder.path).check_out(inside(folder.work, wanted.path))
            if wanted is offer.checkout and wanted.has_patch and patch is not None:
                tree.mirror.apply_patch(inside(folder.work, wanted.path), patch)
        except VcsError as error:
            raise AgentError(f"Could not check out {wanted.sha} of {wanted.url}: {error}") from error


def chosen_here(offer: StepOffer, housed: Housing, said: list[str]) -> Choice:
    """Images need their tools and are left out; limits are for machines that many share."""
    chosen = choice.choose(replace(offer, trusted=True), housed.offered)
    if chosen.problem or chosen.kind not in (PROCESS, BUBBLEWRAP):
        kind = BUBBLEWRAP if BUBBLEWRAP in housed.kinds else PROCESS
        wanted = offer.sandbox or choice.usual_kind(offer, housed.offered)
        said.append(f"It ran in the sandbox {wanted} {offer.image}, and this is {kind}.".replace("  ", " "))
        chosen = Choice(kind, has_network=offer.trusted if offer.network is None else offer.network)
    if chosen.kind == PROCESS:
        said.append("Nothing keeps its commands from your files here: bubblewrap is missing.")
        if not offer.trusted:
            raise AgentError("What strangers wrote is run in a sandbox only, and bubblewrap is missing here.")
    return chosen


def written(offer: StepOffer, folder: StepFolder, *, is_set_up: bool) -> list[tuple[Path, str]]:
    """The commands as files, for whoever wants to run them one by one."""
    found = []
    for command in offer.commands:
        script = folder.scripts / command_file_name(command)
        shebang = "" if command.script.startswith("#!") else "#!/bin/bash -eu\n"
        script.write_text(shebang + command.script, errors="surrogateescape")
        script.chmod(0o755)
        is_done = is_set_up and command.type in SET_UPS
        found.append((script, title(command) + (" (done already: the snapshot has it)" if is_done else "")))
    return found


def give_away(ground: Ground, account: Account) -> None:
    for writable in ground.writable:
        account.own_all(writable)
    if not account.is_own:
        for folder in (ground.folder.path.parent, ground.folder.path, ground.folder.scripts):
            folder.chmod(housing.WAY_THROUGH)


def words_before(ground: Ground, chosen: Choice, source: Path) -> list[str]:
    if chosen.kind == PROCESS:
        return dropping(ground.account)
    view = bubblewrap.view(ground)
    words = [*dropping(ground.account), *bubblewrap.layering(ground), bubblewrap.PROGRAM, *view]
    return [*words, "--chdir", str(source), "--"]


def release() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.release())
    except OSError:
        return platform.release()
