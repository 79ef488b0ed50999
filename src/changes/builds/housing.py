"""What a plan says about where its steps run: sandbox, image, network, limits, secrets. Pure.

The agent decides in the end: what it cannot hold a step to, it does not run.
"""

import re
from collections.abc import Mapping
from typing import Any

from changes.builds import complaints
from changes.builds.complaints import Wrong
from changes.protocol import Limits, Machine

SANDBOXES = ("process", "bubblewrap", "lxc", "podman")
IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
LIMITS = {"memory": 2**24, "pids": 2**22, "cpus": 4096, "log": 256}
KEPT = ("sandbox", "image", "network", "limits", "secrets")
# What an agent found out about its machine counts as labels of these names, beside those it was given,
# and what a step needs of that as labels that it asks for (lanes.py).
FOUND = "sandbox:"
LIMITED, YES = f"{FOUND}limits", "yes"
NEEDED_LIMITS = frozenset({"memory", "pids"})


def wrong_housing(data: Mapping[str, Any]) -> list[Wrong]:
    wrong = wrong_choice(data.get("sandbox")) + wrong_image(data.get("image"))
    return wrong + wrong_limits(data.get("limits")) + wrong_secrets(data.get("secrets"))


def wrong_choice(sandbox: Any) -> list[Wrong]:
    if sandbox in (None, "", *SANDBOXES):
        return []
    return [Wrong(("sandbox",), f"sandbox must be one of {', '.join(SANDBOXES)}")]


def wrong_image(image: Any) -> list[Wrong]:
    if image in (None, "") or (isinstance(image, str) and IMAGE.fullmatch(image)):
        return []
    return [Wrong(("image",), "image must be the name of one, such as registry.example.com/tools:1")]


def wrong_limits(limits: Any) -> list[Wrong]:
    if limits is None:
        return []
    if not isinstance(limits, dict):
        return [Wrong(("limits",), f"limits must be a mapping of {', '.join(LIMITS)}")]
    wrong = complaints.unknown_names(limits, LIMITS, ("limits",))
    for name, most in LIMITS.items():
        wrong += complaints.wrong_number(limits, name, most, ("limits",))
    return wrong


def wrong_secrets(names: Any) -> list[Wrong]:
    if names is None:
        return []
    is_list = isinstance(names, list) and all(isinstance(each, str) for each in names)
    if not is_list or not all(VARIABLE.fullmatch(each) for each in names):
        return [Wrong(("secrets",), "secrets must be a list of names of secrets of the project")]
    return []


def limits_of(data: Mapping[str, Any]) -> Limits:
    """Of a step; what an older version kept counts as not said."""
    said = data.get("limits") or {}
    return Limits(
        memory_mb=said.get("memory", 0),
        pids=said.get("pids", 0),
        cpus=float(said.get("cpus", 0)),
        log_mb=said.get("log", 0),
    )


def sandbox_of(data: Mapping[str, Any], *, is_lxc: bool) -> str | None:
    """The original's LXC step runs in LXC where it names an image of ours, else where the agent likes."""
    return data.get("sandbox") or ("lxc" if is_lxc and data.get("image") else None)


# --- who could run it ----------------------------------------------------------------------


def labels_of(told: Machine) -> dict[str, str]:
    """What the operator gave it, and what follows from what its agent found out."""
    found = {f"{FOUND}{kind}": YES for kind in SANDBOXES if kind in told.sandboxes}
    if set(told.limits) >= NEEDED_LIMITS:
        found[LIMITED] = YES
    return {**own_labels(told.labels), **found}


def own_labels(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if not name.startswith(FOUND)}


def words_of_label(name: str, value: str) -> str:
    if name == LIMITED:
        return "limits of memory and processes"
    if name.startswith(FOUND):
        return f"the sandbox {name.removeprefix(FOUND)}"
    return f"label {name}={value}"
