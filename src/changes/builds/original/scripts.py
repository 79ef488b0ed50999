"""The scripts by which an agent of the original gets its sources: it checks nothing out itself. Pure.

They become commands of the step for this agent only. Ids of such commands are made of the step's, so
that a report about one finds its step; they are kept nowhere.
"""

import base64
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from changes.protocol import Checkout, CommandOffer, StepOffer

# So many low bits of a step's id tell its commands of this kind apart.
SETUPS_MAX = 63
# The patch follows the checkout.
PATCH_NUMBER = 2
INFRA_SETUP, SETUP = "infra_setup", "setup"
PATCH_NAME = "Apply the patch"
# That of the agent's account: the environment of these agents has none. Settings of git are there.
OWN_HOME = "export HOME=${HOME-~}\n"
BASH = f"#!/bin/bash\nset -euo pipefail\n{OWN_HOME}"
GIT = """\
export GIT_TERMINAL_PROMPT=0 GIT_ALLOW_PROTOCOL=file:git:http:https:ssh
URL={url} FOLDER={folder} REVISION={revision}
mkdir -p "$FOLDER"
git clone --quiet --no-checkout -- "$URL" "$FOLDER" || {{
    sleep 1
    git clone --quiet --no-checkout -- "$URL" "$FOLDER"
}}
cd "$FOLDER"
known() {{
    git rev-parse --quiet --verify "$1^{{commit}}"
}}
SHA=$(known "$REVISION" || known "refs/remotes/origin/$REVISION") || {{
    git fetch --quiet origin '+refs/*:refs/remotes-all-refs/origin/*'
    SHA=$(known "$REVISION")
}}
git checkout --quiet --detach "$SHA"
"""
HG = """\
export HGPLAIN=1
URL={url} FOLDER={folder} REVISION={revision}
hg clone --quiet --noupdate -- "$URL" "$FOLDER"
hg --cwd "$FOLDER" update --quiet --clean --rev "$REVISION"
"""
GIT_PATCH = """\
cd {folder}
PATCH=$(mktemp)
trap 'rm -f "$PATCH"' EXIT
base64 -d >"$PATCH" <<'END_OF_PATCH'
{patch}
END_OF_PATCH
git apply --index --binary --whitespace=nowarn "$PATCH"
git -c user.name='Patch applier' -c user.email=patch@changes.invalid -c commit.gpgsign=false \\
    commit --quiet --no-verify --message='Diff build'
"""
HG_PATCH = """\
cd {folder}
PATCH=$(mktemp)
trap 'rm -f "$PATCH"' EXIT
base64 -d >"$PATCH" <<'END_OF_PATCH'
{patch}
END_OF_PATCH
hg import --quiet --no-commit "$PATCH"
"""


@dataclass(frozen=True)
class Surroundings:
    """What is needed to write the scripts of a step."""

    offer: StepOffer
    patch: bytes | None = None


def id_of_setup(step_id: UUID, number: int) -> UUID:
    return UUID(int=step_id.int ^ number)


def steps_that_may_have(command_id: UUID) -> list[UUID]:
    """Of which step this may be a setup: the number of the setup is unknown yet."""
    return [id_of_setup(command_id, number) for number in range(1, SETUPS_MAX + 1)]


def number_of_setup(step_id: UUID, command_id: UUID) -> int:
    return step_id.int ^ command_id.int


def setups(about: Surroundings) -> list[CommandOffer]:
    """In the order of the original: the clone, the patch, other repositories."""
    step_id = UUID(about.offer.id)
    return [
        CommandOffer(
            id=id_of_setup(step_id, number).hex, name=name, script=BASH + script, type=kind, artifacts=[]
        )
        for number, (name, script, kind) in enumerate(written(about), start=1)
    ][:SETUPS_MAX]


def written(about: Surroundings) -> Iterator[tuple[str, str, str]]:
    main = about.offer.checkout
    if main is None:
        yield "Make a folder", f"mkdir -p {folder_of(about.offer)}\n", INFRA_SETUP
    else:
        yield "Check out", checkout(main), INFRA_SETUP
        if about.patch is not None:
            # Not the fault of the machinery, so a failure of this one is a failure of the step.
            yield PATCH_NAME, patch(main, about.patch), SETUP
    for other in about.offer.other_checkouts:
        yield f"Check out {other.path}", checkout(other), INFRA_SETUP


def checkout(wanted: Checkout) -> str:
    script = GIT if wanted.backend == "git" else HG
    quoted = {"url": wanted.url, "folder": wanted.path, "revision": wanted.sha}
    return script.format(**{name: shlex.quote(value) for name, value in quoted.items()})


def patch(wanted: Checkout, diff: bytes) -> str:
    script = GIT_PATCH if wanted.backend == "git" else HG_PATCH
    return script.format(folder=shlex.quote(wanted.path), patch=base64.encodebytes(diff).decode().strip())


def folder_of(offer: StepOffer) -> str:
    return shlex.quote(folder(offer))


def folder(offer: StepOffer) -> str:
    return offer.checkout.path if offer.checkout is not None else "source"
