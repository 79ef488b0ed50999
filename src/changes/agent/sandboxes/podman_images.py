"""Images that podman makes of the container of a step, and has again on another machine."""

import logging
from collections.abc import Mapping
from pathlib import Path

from changes.agent.errors import AgentError
from changes.agent.sandboxes.process import quiet_run

PROGRAM = "podman"
REPOSITORY = "localhost/changes-snapshot"
# In the folder that a kept container is to be found in.
FILE, COMPLAINT = "image.tar", "complaint"
WITHIN_S, QUICKLY_S = 900.0, 60.0
COMPLAINT_MAX_CHARS = 500
IMAGES_KEPT = 5

log = logging.getLogger("changes.agent")


class NoImage(AgentError):
    """The words are podman's."""


def name_of(sha256: str) -> str:
    """By what was kept, which an agent has looked at: no image can bear the name of another."""
    return f"{REPOSITORY}:{sha256}"


def keep(container: str, into: Path, env: Mapping[str, str]) -> None:
    """A complaint lies there where it could not be done."""
    try:
        image = said(["commit", "--quiet", "--pause=false", container], WITHIN_S, env)
        try:
            # By its number: so the image has no name where it is loaded.
            said(["save", "--quiet", "--output", str(into / FILE), image], WITHIN_S, env)
        finally:
            said(["rmi", image], QUICKLY_S, env)
    except NoImage as error:
        (into / FILE).unlink(missing_ok=True)
        (into / COMPLAINT).write_text(str(error))


def has(name: str, env: Mapping[str, str]) -> bool:
    done = quiet_run([PROGRAM, "image", "exists", name], QUICKLY_S, env=env)
    return done is not None and done.returncode == 0


def load(saved: Path, identity: str, name: str, env: Mapping[str, str]) -> None:
    said(["load", "--quiet", "--input", str(saved)], WITHIN_S, env)
    said(["tag", identity, name], QUICKLY_S, env)


def tidy(but: str, env: Mapping[str, str]) -> None:
    """The newest stay; podman keeps whatever a container still needs."""
    form = [
        "--sort",
        "created",
        "--filter",
        f"reference={REPOSITORY}",
        "--format",
        "{{.Repository}}:{{.Tag}}",
    ]
    try:
        found = said(["images", *form], QUICKLY_S, env).split()
        for name in [each for each in found if each != but][IMAGES_KEPT:]:
            said(["rmi", name], QUICKLY_S, env)
    except NoImage as error:
        log.info("An image stays: %s", error)


def said(words: list[str], within_s: float, env: Mapping[str, str]) -> str:
    done = quiet_run([PROGRAM, *words], within_s, env=env)
    if done is None or done.returncode:
        complaint = done.stderr.decode(errors="replace").strip() if done else "it took too long"
        raise NoImage(f"podman {words[0]}: {complaint[-COMPLAINT_MAX_CHARS:]}")
    return done.stdout.decode(errors="replace").strip()
