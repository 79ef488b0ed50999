"""How Mercurial is called: with nobody's settings, no hooks and no extensions."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from changes.vcs import complaints, ssh
from changes.vcs.errors import BadName
from changes.vcs.in_memory import memory_file
from changes.vcs.interface import Credentials
from changes.vcs.run import USUAL_LIMITS, Command, Finished, Limits, inherited_environment, run, stream

_FIXED = {
    "LC_ALL": "C.UTF-8",
    "HOME": "/nonexistent",
    "HGPLAIN": "1",
    "HGENCODING": "UTF-8",
    "HGRCPATH": "",
    # The hgrc of a local repository may name hooks and extensions, which run in whoever pulls from it.
    "HGRCSKIPREPO": "1",
}


@dataclass(frozen=True)
class Hg:
    """Calls hg; knows the credentials, so that no text leaves with them."""

    url: str
    credentials: Credentials = field(repr=False)
    # What hg inherits: should we be killed, the lock we hold is held until hg has ended too.
    keeps_open: tuple[int, ...] = ()

    def holding(self, lock: int) -> "Hg":
        return replace(self, keeps_open=(lock,))

    def read(self, *arguments: str, stdin: bytes = b"", limits: Limits = USUAL_LIMITS) -> bytes:
        finished = self.call(*arguments, stdin=stdin, limits=limits)
        self.check(finished)
        return finished.stdout

    def call(self, *arguments: str, stdin: bytes = b"", limits: Limits = USUAL_LIMITS) -> Finished:
        return run(Command(_argv(arguments), _environment(), stdin, limits, self.keeps_open))

    def talk(self, *arguments: str, limits: Limits) -> Finished:
        """Call something that speaks to the remote, with the credentials."""
        with ssh.ssh_command(self.credentials) as command, memory_file(self._login()) as login:
            environment = _environment() | {"HGRCPATH": str(login)}
            argv = _argv(arguments, f"ui.ssh={command}")
            return run(Command(argv, environment, limits=limits, keeps_open=self.keeps_open))

    def stream(self, *arguments: str) -> Iterator[bytes]:
        return stream(Command(_argv(arguments), _environment()), self.check)

    def check(self, finished: Finished) -> None:
        complaints.raise_failure(finished, complaints.HG, self.credentials.secrets)

    def _login(self) -> str:
        """Hg takes passwords from configuration only; it gives them to this server alone."""
        given = self.credentials
        if not self.url.startswith(("http://", "https://")) or not given.secrets:
            return ""
        if any(end in given.username + given.password for end in "\0\n\r"):
            raise BadName("user name and password are one line each")
        parts = urlsplit(self.url)
        return (
            f"[auth]\nremote.prefix = {parts.scheme}://{parts.netloc}\n"
            f"remote.username = {given.username or 'hg'}\nremote.password = {given.password}\n"
        )


def _argv(arguments: tuple[str, ...], *settings: str) -> tuple[str, ...]:
    # Subrepositories fetch from wherever the commit says.
    fixed = ("subrepos.allowed=false", "ui.interactive=false")
    configured = (f"--config={setting}" for setting in (*fixed, *settings))
    return ("hg", "--noninteractive", "--cwd=/", *configured, *arguments)


def _environment() -> dict[str, str]:
    return inherited_environment() | _FIXED
