"""Which sandbox a step gets; pure. A step that would get less than it needs is not run at all."""

from collections.abc import Collection
from dataclasses import dataclass

from changes.protocol import StepOffer

PROCESS, BUBBLEWRAP, LXC, PODMAN = KINDS = ("process", "bubblewrap", "lxc", "podman")
WITH_IMAGE = (LXC, PODMAN)
# Without these one step can take the machine from all others.
NEEDED_LIMITS = ("memory", "pids")
REASON = "sandbox_missing"


@dataclass(frozen=True)
class Offered:
    """What this machine can do; `usual` is what the operator wants for steps that do not say."""

    kinds: Collection[str]
    limits: Collection[str]
    usual: str = ""


@dataclass(frozen=True)
class Choice:
    """Without a kind `problem` says in a sentence why the step cannot run here."""

    kind: str = ""
    has_network: bool = True
    problem: str = ""


def choose(offer: StepOffer, here: Offered) -> Choice:
    kind = offer.sandbox or usual_kind(offer, here)
    has_network = offer.trusted if offer.network is None else offer.network
    problem = problem_of(kind, offer, here, has_network=has_network)
    return Choice(problem=problem) if problem else Choice(kind, has_network)


def usual_kind(offer: StepOffer, here: Offered) -> str:
    if offer.image:
        return PODMAN
    # What the operator wants where it does not matter; here it does for strangers, and without a network.
    is_free = here.usual != PROCESS or (offer.trusted and offer.network is not False)
    if here.usual in here.kinds and here.usual not in WITH_IMAGE and is_free:
        return here.usual
    return BUBBLEWRAP if BUBBLEWRAP in here.kinds else PROCESS


def problem_of(kind: str, offer: StepOffer, here: Offered, *, has_network: bool) -> str:
    if kind not in here.kinds:
        known = ", ".join(here.kinds)
        return f"The step asks for the sandbox {kind!r}, and this machine has only: {known}."
    if kind in WITH_IMAGE and not offer.image:
        return f"The sandbox {kind!r} needs an image, and the step names none."
    if kind == PROCESS and not has_network and offer.network is False:
        return "The step must not reach the network, and this machine has no sandbox that sees to it."
    if not offer.trusted:
        return problem_of_strangers(kind, here)
    return ""


def problem_of_strangers(kind: str, here: Offered) -> str:
    if kind == PROCESS:
        return "What strangers wrote is run in a sandbox only, and this machine has none that works."
    missing = [each for each in NEEDED_LIMITS if each not in here.limits]
    if missing:
        return f"What strangers wrote is run with limits only, and this machine cannot limit {missing[0]}."
    return ""
