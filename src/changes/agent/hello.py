"""Says who this agent is, hears what the server can take, and replaces the agent's key when that is due."""

import logging
import os
import secrets
import threading
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from changes.agent.client import Client
from changes.agent.errors import NotAccepted, OtherVersion, Refused, StepGone
from changes.agent.identity import store_key
from changes.agent.retrying import Retrying
from changes.agent.sandboxes.housing import Housing
from changes.protocol import VERSION, Hello, Machine, Welcome

EVERY_S = 600.0
RUN_BYTES = 16

log = logging.getLogger("changes.agent")


class Greeter:
    """`machine` may be exchanged for another one at any time; the next hello tells it."""

    def __init__(self, client: Client, retrying: Retrying, home: Path, machine: Machine) -> None:
        self.machine = machine
        self._client = client
        self._retrying = retrying
        self._home = home
        self._known_as = machine.name
        self._one_at_a_time = threading.Lock()
        self._run = secrets.token_hex(RUN_BYTES)

    def greet(self, steps: list[str] | None, problem: str, is_given_up: Callable[[], bool]) -> None:
        """Waits for the server as long as it takes. Raises Refused when they do not understand each other."""
        with self._one_at_a_time:
            self._greet(steps, problem, is_given_up)

    def _greet(self, steps: list[str] | None, problem: str, is_given_up: Callable[[], bool]) -> None:
        facts = {name: getattr(self.machine, name) for name in Machine.__struct_fields__}
        hello = Hello(**facts, steps=steps, problem=problem, run=self._run)
        try:
            welcome = self._retrying.until_accepted(lambda: self._client.hello(hello), is_given_up)
        except StepGone:
            log.info("The server is of an earlier version, which takes no greeting.")
            return
        except NotAccepted as error:
            raise Refused(f"The server does not take what this agent says of itself: {error}") from error
        refuse_other_versions(welcome)
        self._client.welcome = welcome
        if welcome.name != self._known_as:
            log.warning(
                "The name %s is another machine's; this one stays %s.", self.machine.name, welcome.name
            )
            self._known_as = welcome.name
        if welcome.is_key_due:
            self._replace_key(is_given_up)

    def _replace_key(self, is_given_up: Callable[[], bool]) -> None:
        """Stored before it is used: whenever this is interrupted, the key that is stored is good."""
        key = self._retrying.until_accepted(self._client.new_key, is_given_up)
        try:
            store_key(self._home, key.token)
        except OSError as error:
            log.critical("The new key cannot be stored, the old one stays: %s", error)
            return
        self._client.use(key.token)
        log.info("This agent has a new key.")


def machine_of(name: str, slots: int, labels: dict[str, str], housing: Housing | None = None) -> Machine:
    return Machine(
        name=name,
        slots=slots,
        labels=labels,
        cpus=os.cpu_count() or 0,
        memory_mb=_memory_mb(),
        version=metadata.version("changes"),
        sandboxes=list(housing.kinds) if housing else [],
        limits=housing.trees.limits if housing else [],
    )


def refuse_other_versions(welcome: Welcome) -> None:
    """The server looks at this too; but it cannot know of what came after it."""
    if abs(welcome.protocol - VERSION) > 1:
        older = "server" if welcome.protocol < VERSION else "agent"
        raise OtherVersion(
            f"The server speaks protocol {welcome.protocol}, this agent {VERSION}."
            f" Please upgrade the {older}."
        )


def _memory_mb() -> int:
    """0 where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    except (ValueError, OSError):
        return 0
