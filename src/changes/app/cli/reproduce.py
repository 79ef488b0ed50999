"""changes reproduce: a step on this machine, with a shell; needs no more than what an agent needs."""

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from changes.app.cli import server as servers
from changes.app.cli.output import WRONG_USAGE, fail, tell
from changes.app.cli.server import Server

HOME = Path("~/.cache/changes/reproduce")
HOME_OF_ROOT = Path("/var/cache/changes/reproduce")
ROOT = 0


def add_to(app: typer.Typer) -> None:
    app.command(context_settings={"allow_interspersed_args": False})(reproduce)


def reproduce(
    step_id: Annotated[str, typer.Argument(metavar="STEP", help="Id of a step, as its page shows it.")],
    command: Annotated[
        list[str] | None, typer.Argument(help="Run this instead of a shell (after --).")
    ] = None,
    run: Annotated[
        bool, typer.Option("--run", help="Run the step's own commands, one after the other.")
    ] = False,
    home: Annotated[
        Path | None, typer.Option(help=f"Where repositories and snapshots are kept ({HOME}).")
    ] = None,
) -> None:
    """Check out what a step built, lay out its snapshot, and open a shell in the same sandbox.

    Secrets are never brought along. When the shell ends, what was laid out is removed.
    """
    import msgspec

    from changes.agent import reproducing
    from changes.agent.errors import AgentError
    from changes.protocol import StepOffer

    if run and command:
        fail("Either --run or a command.", WRONG_USAGE)
    asked = servers.connect()
    told = asked.get(f"/jobsteps/{step_id}/reproduce/")
    offer = msgspec.convert(told["offer"], StepOffer)
    patch = base64.b64decode(told["patch"]) if told["patch"] is not None else None
    where = (home or (HOME_OF_ROOT if os.geteuid() == ROOT else HOME)).expanduser().absolute()
    account = os.environ.get("CHANGES_STEP_ACCOUNT", "")
    try:
        with reproducing.laid_out(offer, patch, fetching(asked, offer), where, account) as scene:
            explain(scene, told)
            code = run_all(scene) if run else scene.run(words_of(command))
    except (AgentError, OSError) as error:
        fail(str(error))
    raise typer.Exit(code)


def words_of(command: list[str] | None) -> list[str]:
    """Behind the step everything is the command's; what separates both belongs to neither."""
    words = list(command or [])
    return words[1:] if words[:1] == ["--"] else words


def printable(text: str) -> str:
    """Somebody else wrote it, and this is a terminal."""
    return "".join(each if each.isprintable() else "?" for each in text)


def explain(scene: Any, told: dict[str, Any]) -> None:
    tell(f"The checkout is {scene.source}, the sandbox {scene.kind}. What differs from the build:")
    missing = ", ".join(told["missingSecrets"])
    tell(f"- There are no secrets here; it had {missing}." if missing else "- It had no secrets.")
    for sentence in [*told["ranOn"], *scene.differences]:
        tell(f"- {printable(sentence)}")
    tell("Its commands:")
    for path, title in scene.commands:
        tell(f"  {path}  {printable(title)}")


def run_all(scene: Any) -> int:
    for path, title in scene.commands:
        if title.endswith("has it)"):
            continue
        tell(f"$ {printable(title)}")
        code: int = scene.run([str(path)])
        if code:
            return code
    return 0


def fetching(asked: Server, offer: Any) -> Callable[[str, Path], None]:
    """The image comes by the same door as everything else that people may look at."""

    def fetch(_sha256: str, part: Path) -> None:
        with part.open("ab") as file:
            path = f"/snapshotimages/{offer.snapshot.image}/content/"
            for data in asked.stream(path, offset=file.tell()):
                file.write(data)

    return fetch
