"""How git is called: with none of the user's settings, no hooks and few protocols."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from changes.vcs import complaints, names, ssh
from changes.vcs.errors import BadName
from changes.vcs.in_memory import memory_file
from changes.vcs.interface import Credentials
from changes.vcs.run import USUAL_LIMITS, Command, Finished, Limits, begun, inherited_environment, run, stream

NOTHING: Mapping[str, str] = {}
CONFIG_PATH = Path(__file__).parent / "gitconfig"

# These outrank the configuration of the repository itself.
_FORCED_CONFIG = {"core.hooksPath": "/dev/null", "core.fsmonitor": "false", "protocol.ext.allow": "never"}


@dataclass(frozen=True)
class Git:
    """Calls git; only `talk` lets it have the credentials, and no text leaves with them."""

    url: str
    credentials: Credentials = field(repr=False)
    # What git inherits: should we be killed, the lock we hold is held until git has ended too.
    keeps_open: tuple[int, ...] = ()

    def holding(self, lock: int) -> "Git":
        return replace(self, keeps_open=(lock,))

    def read(self, *arguments: str, stdin: bytes = b"", limits: Limits = USUAL_LIMITS) -> bytes:
        return self._checked(self.call(*arguments, stdin=stdin, limits=limits))

    def call(
        self,
        *arguments: str,
        stdin: bytes = b"",
        limits: Limits = USUAL_LIMITS,
        more: Mapping[str, str] = NOTHING,
    ) -> Finished:
        return run(self._command(arguments, more, limits, stdin))

    def _command(
        self, arguments: tuple[str, ...], more: Mapping[str, str], limits: Limits, stdin: bytes = b""
    ) -> Command:
        return Command(("git", *arguments), {**environment(), **more}, stdin, limits, self.keeps_open)

    def talk(self, *arguments: str, limits: Limits, more: Mapping[str, str] = NOTHING) -> bytes:
        """Call something that speaks to the remote."""
        with self.talking(*arguments, limits=limits, more=more) as answer:
            return answer()

    @contextmanager
    def talking(
        self, *arguments: str, limits: Limits, more: Mapping[str, str] = NOTHING
    ) -> Iterator[Callable[[], bytes]]:
        """The same for who has other things to do until it needs the answer."""
        with (
            self._entrance() as entrance,
            begun(self._command(arguments, {**entrance, **more}, limits)) as finish,
        ):
            yield lambda: self._checked(finish())

    def _checked(self, finished: Finished) -> bytes:
        self.check(finished)
        return finished.stdout

    def stream(self, *arguments: str, stdin: bytes = b"") -> Iterator[bytes]:
        return stream(Command(("git", *arguments), environment(), stdin), self.check)

    def check(self, finished: Finished) -> None:
        complaints.raise_failure(finished, complaints.GIT, self.secrets)

    @property
    def secrets(self) -> tuple[str, ...]:
        return self.credentials.secrets

    @contextmanager
    def _entrance(self) -> Iterator[dict[str, str]]:
        with ssh.ssh_command(self.credentials) as command:
            if not (self.url.startswith(("http://", "https://")) and self.credentials.secrets):
                yield {"GIT_SSH_COMMAND": command}
                return
            with (
                memory_file(_login(self.credentials)) as login,
                memory_file(_config(self.url, login)) as path,
            ):
                yield {"GIT_SSH_COMMAND": command, "GIT_CONFIG_GLOBAL": str(path)}


def environment() -> dict[str, str]:
    return inherited_environment() | _FIXED | _config_environment(_FORCED_CONFIG)


_FIXED = {
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": str(CONFIG_PATH),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TEMPLATE_DIR": "/nonexistent",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "GIT_ALLOW_PROTOCOL": ":".join(sorted(names.SCHEMES)),
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
}


def _login(credentials: Credentials) -> str:
    if any(end in credentials.username + credentials.password for end in "\0\n\r"):
        raise BadName("user name and password are one line each")
    return f"username={credentials.username or 'git'}\npassword={credentials.password}\n"


def _config(url: str, login: Path) -> str:
    """Git asks for the login only where this server wants one; another it is led to gets nothing."""
    parts = urlsplit(url)
    # Git adds a word to the command, which the sign for comments takes away.
    helper = f"!cat {shlex.quote(str(login))} #"
    return (
        f"[include]\n\tpath = {quoted(str(CONFIG_PATH))}\n"
        f"[credential {quoted(f'{parts.scheme}://{parts.netloc}')}]\n\thelper = {quoted(helper)}\n"
    )


def quoted(text: str) -> str:
    """A value, or the name of a section, in a file of git's configuration."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _config_environment(config: dict[str, str]) -> dict[str, str]:
    environment = {"GIT_CONFIG_COUNT": str(len(config))}
    for number, (key, value) in enumerate(config.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment
