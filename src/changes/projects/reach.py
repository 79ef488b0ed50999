"""Asks the other side of a repository before anything is stored, and says in words what is wrong with it.

No transaction is open meanwhile: a server that does not answer must hold no connection to the database.
"""

from changes.base import ids
from changes.base.errors import Invalid
from changes.projects import mirrors
from changes.projects.rules import RepositoryBackend
from changes.vcs import errors
from changes.vcs.errors import VcsError
from changes.vcs.interface import Credentials
from changes.vcs.open import open_mirror

ANSWER_WITHIN_S = 10.0
NAMES = {RepositoryBackend.GIT: "git", RepositoryBackend.HG: "Mercurial"}
# The first that fits is told.
MEANINGS: tuple[tuple[type[VcsError], str], ...] = (
    (errors.BadName, "This is not the address of a repository."),
    (errors.ToolMissing, "{kind} is not installed on this server."),
    (errors.TimedOut, "The server did not answer in time."),
    (errors.Unreachable, "The server does not answer."),
    (
        errors.Forbidden,
        "The server does not let us in: it wants credentials, or others.",
    ),
    (errors.NotARepository, "There is no {kind} repository at this address."),
)
OTHERWISE = "The repository cannot be read."
DETAIL_MAX_CHARS = 300


class Closed(Invalid):
    """There is a server, but it wants other credentials, or any at all."""


def check(
    url: str,
    backend: RepositoryBackend,
    *,
    credentials: Credentials | None = None,
    timeout_s: float = ANSWER_WITHIN_S,
) -> None:
    """Raises Invalid about the field `url` unless there is a repository that this server may read."""
    if backend == RepositoryBackend.UNKNOWN:
        return
    nowhere = mirrors.folder.get() / ids.new().hex
    try:
        open_mirror(backend.name.lower(), url, nowhere, credentials=credentials).reach(timeout_s)
    except errors.Forbidden as error:
        raise Closed(in_words(error, backend), ["url"]) from error
    except VcsError as error:
        raise Invalid(in_words(error, backend), ["url"]) from error


def in_words(error: VcsError, backend: RepositoryBackend) -> str:
    """A sentence of ours, then the first line of the tool, for those who know it."""
    told = next((words for kind, words in MEANINGS if isinstance(error, kind)), OTHERWISE)
    sentence = told.format(kind=NAMES.get(backend, "version control"))
    detail = str(error).strip().partition("\n")[0][:DETAIL_MAX_CHARS]
    return f"{sentence} ({detail})" if detail else sentence
