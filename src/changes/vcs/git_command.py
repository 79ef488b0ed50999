"""How git is called: with none of the user's settings, no hooks and few protocols."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from changes.vcs import complaints, names, ssh
from changes.vcs.interface import Credentials
from changes.vcs.run import USUAL_LIMITS, Command, Finished, Limits, inherited_environment, run, stream

CONFIG_PATH = Path(__file__).parent / "gitconfig"

# These outrank the configuration of the repository itself.
_FORCED_CONFIG = {"core.hooksPath": "/dev/null", "core.fsmonitor": "false", "protocol.ext.allow": "never"}


@dataclass(frozen=True)
class Git:
    """Calls git; knows the credentials, so that no text leaves with them."""

    environment: dict[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def read(self, *arguments: str, stdin: bytes = b"", limits: Limits = USUAL_LIMITS) -> bytes:
        finished = self.call(*arguments, stdin=stdin, limits=limits)
        self.check(finished)
        return finished.stdout

    def call(self, *arguments: str, stdin: bytes = b"", limits: Limits = USUAL_LIMITS) -> Finished:
        return run(Command(("git", *arguments), self.environment, stdin, limits))

    def stream(self, *arguments: str, stdin: bytes = b"") -> Iterator[bytes]:
        return stream(Command(("git", *arguments), self.environment, stdin), self.check)

    def check(self, finished: Finished) -> None:
        complaints.raise_failure(finished, complaints.GIT, self.secrets)


def git_for(url: str, credentials: Credentials) -> Git:
    config = dict(_FORCED_CONFIG)
    secrets: tuple[str, ...] = ()
    if url.startswith(("http://", "https://")) and credentials.secrets:
        header = _basic(credentials)
        # In the environment only this account can read it; an argument or a file could be seen by others.
        config[f"http.{url}.extraHeader"] = f"Authorization: Basic {header}"
        secrets = (header, *credentials.secrets)
    environment = inherited_environment() | _FIXED | _config_environment(config)
    return Git(environment | {"GIT_SSH_COMMAND": ssh.ssh_command(credentials)}, secrets)


_FIXED = {
    "LC_ALL": "C.UTF-8",
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": str(CONFIG_PATH),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "GIT_ALLOW_PROTOCOL": ":".join(sorted(names.SCHEMES)),
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
}


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.username or 'git'}:{credentials.password}"
    return base64.b64encode(pair.encode()).decode()


def _config_environment(config: dict[str, str]) -> dict[str, str]:
    environment = {"GIT_CONFIG_COUNT": str(len(config))}
    for number, (key, value) in enumerate(config.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment
