"""Which URLs, revisions and paths are fit to be handed to git or hg. All of them come from strangers."""

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from changes.vcs.errors import BadName
from changes.vcs.interface import Credentials

SCHEMES = frozenset({"file", "git", "http", "https", "ssh"})
NAME_MAX_CHARS = 1000

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_FULL_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_HOST = re.compile(r"[A-Za-z0-9_.:][A-Za-z0-9_.:-]*")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# user@host:path, which git takes for ssh; a second colon would start a remote helper.
_SCP_STYLE = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_.][A-Za-z0-9_.-]*)@)?(?P<host>[A-Za-z0-9_.][A-Za-z0-9_.-]*):(?!:)"
)
# What git forbids in a ref, and quotes, which would end a string of Mercurial's query language.
_NOT_IN_REVISION = re.compile(r"""[\x00-\x20\x7f\ud800-\udfff~^:?*\[\\"']|\.\.|@\{|//""")
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")


def check_url(url: str, *, allows_scp_style: bool = False) -> None:
    """A URL of an allowed scheme, an absolute path, or ssh in the manner of scp, which only git knows."""
    if not url or len(url) > NAME_MAX_CHARS or _CONTROL.search(url) or url.startswith("-"):
        raise BadName("not the URL of a repository")
    if url.startswith("/"):
        return
    if scheme := _SCHEME.match(url):
        _check_scheme(url, scheme[1])
    elif not (allows_scp_style and _SCP_STYLE.match(url)):
        raise BadName(f"neither a URL nor an absolute path: {mask(url)}")


def _check_scheme(url: str, scheme: str) -> None:
    if scheme not in SCHEMES:
        raise BadName(f"repositories are not read by {scheme}://")
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        host, user, _port = parts.hostname or "", parts.username or "", parts.port
    except ValueError as error:
        raise BadName("not the URL of a repository") from error
    if user.startswith("-") or (scheme != "file" and not _HOST.fullmatch(host)):
        raise BadName(f"bad host or user in {mask(url)}")


def split_credentials(url: str) -> tuple[str, Credentials | None]:
    """The URL without what opens the door, and that. An ssh user is an address, not a secret."""
    if not url.startswith(("http://", "https://", "ssh://", "git://")):
        return url, None
    parts = urlsplit(url)
    user_info, at, host = parts.netloc.rpartition("@")
    user, _, password = user_info.partition(":")
    if not at:
        return url, None
    if parts.scheme in {"ssh", "git"}:
        return urlunsplit(parts._replace(netloc=f"{user}@{host}")), None
    found = Credentials(username=unquote(user), password=unquote(password))
    return urlunsplit(parts._replace(netloc=host)), found


def check_revision(name: str) -> None:
    too_long = len(name) > NAME_MAX_CHARS
    if not name or too_long or name.startswith(("-", "/", ".")) or name.endswith(("/", ".", ".lock")):
        raise BadName("not the name of a revision")
    if _NOT_IN_REVISION.search(name) or name == "@":
        raise BadName("not the name of a revision")


def is_full_sha(name: str) -> bool:
    return _FULL_SHA.fullmatch(name) is not None


def check_sha(*shas: str) -> None:
    for sha in shas:
        if not is_full_sha(sha):
            raise BadName("not the full sha of a commit")


def check_path(path: str) -> None:
    if not is_path(path):
        raise BadName("not the path of a file in a repository")


def is_path(path: str) -> bool:
    """Relative, inside the repository, and one line."""
    # PurePosixPath drops "." and doubled slashes, so what it changes was not plain.
    if path in {"", "."} or path != str(PurePosixPath(path)) or path.startswith("/"):
        return False
    return ".." not in PurePosixPath(path).parts and _CONTROL.search(path) is None


def mask(text: str, secrets: tuple[str, ...] = ()) -> str:
    """For every text that leaves: nobody reads the credentials in it."""
    text = _USER_INFO.sub("***@", text)
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
