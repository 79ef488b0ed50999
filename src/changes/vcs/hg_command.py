"""How Mercurial is called: with nobody's settings, no hooks and no extensions."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from changes.vcs import complaints, ssh
from changes.vcs.errors import BadName
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

    def read(self, *arguments: str, stdin: bytes = b"", limits: Limits = USUAL_LIMITS) -> bytes:
        finished = self.call(*arguments, stdin=stdin, limits=limits)
        self.check(finished)
        return finished.stdout

    def call(self, *arguments: str, stdin: bytes = b"", limits: Limits = USUAL_LIMITS) -> Finished:
        return run(Command(self._argv(arguments), _environment(), stdin, limits))

    def talk(self, *arguments: str, limits: Limits) -> Finished:
        """Call something that speaks to the remote, with the credentials."""
        with self._credentials_file() as path:
            return run(Command(self._argv(arguments), _environment() | {"HGRCPATH": path}, limits=limits))

    def stream(self, *arguments: str) -> Iterator[bytes]:
        return stream(Command(self._argv(arguments), _environment()), self.check)

    def check(self, finished: Finished) -> None:
        complaints.raise_failure(finished, complaints.HG, self.credentials.secrets)

    def _argv(self, arguments: tuple[str, ...]) -> tuple[str, ...]:
        # Subrepositories fetch from wherever the commit says.
        settings = (
            "subrepos.allowed=false",
            "ui.interactive=false",
            f"ui.ssh={ssh.ssh_command(self.credentials)}",
        )
        return (
            "hg",
            "--noninteractive",
            "--cwd=/",
            *(f"--config={setting}" for setting in settings),
            *arguments,
        )

    @contextmanager
    def _credentials_file(self) -> Iterator[str]:
        """Hg takes passwords from configuration only; this file is readable by us alone and soon gone."""
        if not self.url.startswith(("http://", "https://")) or not self.credentials.secrets:
            yield ""
            return
        with tempfile.NamedTemporaryFile("w", suffix=".rc", encoding="utf-8") as file:
            file.write(_auth_section(self.url, self.credentials))
            file.flush()
            yield str(Path(file.name))


def _environment() -> dict[str, str]:
    return inherited_environment() | _FIXED


def _auth_section(url: str, credentials: Credentials) -> str:
    if "\n" in credentials.username + credentials.password:
        raise BadName("credentials are one line each")
    parts = urlsplit(url)
    return (
        f"[auth]\nremote.prefix = {parts.scheme}://{parts.netloc}\n"
        f"remote.username = {credentials.username or 'hg'}\nremote.password = {credentials.password}\n"
    )
