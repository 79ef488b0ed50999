"""Whether there is a repository, asked of real tools, and what is said when there is none."""

from pathlib import Path

import pytest
from tests import factories
from tests.vcs.sources import call

from changes.base.errors import Invalid
from changes.base.settings import Settings
from changes.projects import reach
from changes.projects.rules import RepositoryBackend
from changes.vcs import errors

GIT, HG = RepositoryBackend.GIT, RepositoryBackend.HG


def test_a_repository_that_is_there_is_reached_and_nothing_is_copied(
    settings: Settings, tmp_path: Path
) -> None:
    factories.a_git_repository(tmp_path / "git", {"a": "1"})
    call("hg", "init", tmp_path / "hg")

    reach.check(str(tmp_path / "git"), GIT)
    reach.check(str(tmp_path / "hg"), HG)
    reach.check("anything at all", RepositoryBackend.UNKNOWN)

    assert not settings.repo_root.exists() or list(settings.repo_root.iterdir()) == []


@pytest.mark.parametrize("backend", [GIT, HG])
def test_a_folder_without_a_repository_is_told(
    settings: Settings, tmp_path: Path, backend: RepositoryBackend
) -> None:
    with pytest.raises(Invalid, match=r"There is no .* repository at this address") as refused:
        reach.check(str(tmp_path), backend)

    assert refused.value.problems == ["url"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            errors.Unreachable("fatal: unable to access"),
            "The server does not answer. (fatal: unable to access)",
        ),
        (errors.Forbidden(""), "The server does not let us in: it wants credentials, or others."),
        (errors.TimedOut("x"), "The server did not answer in time. (x)"),
        (errors.ToolMissing("hg"), "Mercurial is not installed on this server. (hg)"),
        (errors.VcsError("one\ntwo"), "The repository cannot be read. (one)"),
    ],
)
def test_each_failure_has_a_sentence_of_its_own(error: errors.VcsError, words: str) -> None:
    assert reach.in_words(error, HG) == words
