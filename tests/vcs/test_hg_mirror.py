"""A Mercurial mirror and its work trees, with real hg on both sides.

Each call of hg takes a seventh of a second, so most tests share one repository and only read it.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.vcs.sources import MOMENT, HgSource, call

from changes.vcs.errors import (
    BadName,
    MissingFile,
    NotARepository,
    PatchDoesNotApply,
    TooLarge,
    UnknownRevision,
    Unreachable,
    VcsError,
)
from changes.vcs.interface import LogQuery, Mirror, Person
from changes.vcs.open import open_mirror

pytestmark = pytest.mark.packages
OLD = b"the same content\n" * 10


class Repository:
    """A root, a change, and a merge of the branch `side`; seen through its mirror."""

    def __init__(self, folder: Path) -> None:
        self.source = HgSource.new(folder / "source")
        (self.source.path / "inside").symlink_to("folder/ü b")
        (self.source.path / "outside").symlink_to("../../etc/hostname")
        (self.source.path / "circle").symlink_to("circle")
        self.root = self.source.commit(
            {"a": b"1\n2\n3\n", "folder/ü b": b"x\n", "binary": b"\0\xff", "old": OLD}
        )
        self.source.hg("branch", "--quiet", "side")
        self.side = self.source.commit({"side": b"s\n"}, "On the side")
        self.source.hg("update", "--quiet", "default")
        self.source.hg("rename", "old", "neu ß")
        self.change = self.source.commit(
            {"binary": b"\3\0\xff" * 50, "a": b"1\nzwei\n3\n"}, 'Zweiter Schritt ✓\n\n"With" a {body}.'
        )
        self.source.hg("merge", "--quiet", "side")
        self.merge = self.source.commit({}, "Merge side")
        self.mirror = open_mirror("hg", str(self.source.path), folder / "mirrors" / "copy")
        self.mirror.update()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("hg"))


def copies(repository: Repository, folder: Path) -> tuple[HgSource, Mirror]:
    """Source and mirror for a test that changes them."""
    shutil.copytree(repository.source.path, folder / "source", symlinks=True)
    shutil.copytree(repository.mirror.path, folder / "mirror", symlinks=True)
    return HgSource(folder / "source"), open_mirror("hg", str(folder / "source"), folder / "mirror")


def shas(mirror: Mirror, query: LogQuery) -> list[str]:
    return [seen.sha for seen in mirror.log(query)]


def test_a_revision_is_told_in_full(repository: Repository) -> None:
    seen = repository.mirror.revision(repository.change)

    assert seen.sha == repository.change
    assert seen.parents == (repository.root,)
    assert seen.author == seen.committer == Person("Zoë Müller", "zoe@example.com")
    assert seen.authored_at == seen.committed_at == datetime.fromtimestamp(MOMENT, UTC)
    assert seen.message == 'Zweiter Schritt ✓\n\n"With" a {body}.'
    assert seen.branches == ("default",)


def test_a_merge_has_two_parents_and_a_root_none(repository: Repository) -> None:
    assert repository.mirror.revision(repository.merge).parents == (repository.change, repository.side)
    assert repository.mirror.revision(repository.root).parents == ()


def test_branches_have_their_newest_commit(repository: Repository) -> None:
    assert repository.mirror.branches() == {"default": repository.merge, "side": repository.side}
    assert repository.mirror.branches_of(repository.side) == ["side"]


@pytest.mark.parametrize(
    ("name", "attribute"), [("HEAD", "merge"), ("default", "merge"), ("side", "side"), ("tip", "merge")]
)
def test_names_lead_to_full_shas(repository: Repository, name: str, attribute: str) -> None:
    assert repository.mirror.resolve(name) == getattr(repository, attribute)


def test_the_beginning_of_a_sha_leads_to_the_full_one(repository: Repository) -> None:
    assert repository.mirror.resolve(repository.side[:9]) == repository.side


@pytest.mark.parametrize("name", ["2", "gone", "null", "f" * 40, "all()", "a or b"])
def test_local_numbers_and_queries_are_no_names(repository: Repository, name: str) -> None:
    with pytest.raises((UnknownRevision, BadName)):
        repository.mirror.resolve(name)


def test_the_mirror_knows_what_it_has(repository: Repository) -> None:
    assert repository.mirror.has(repository.side)
    assert not repository.mirror.has("1" * 40)


def test_an_unknown_revision_is_named_by_every_reader(repository: Repository) -> None:
    mirror, unknown = repository.mirror, "1" * 40

    for read in (mirror.changed_files, mirror.diff):
        with pytest.raises(UnknownRevision):
            read(unknown)
    with pytest.raises(UnknownRevision):
        mirror.read_file(unknown, "a")
    with pytest.raises(UnknownRevision):
        mirror.is_ancestor(unknown, repository.root)


def test_the_log_has_all_commits_or_some(repository: Repository) -> None:
    mirror, root, side = repository.mirror, repository.root, repository.side

    assert shas(mirror, LogQuery()) == [repository.merge, repository.change, side, root]
    assert shas(mirror, LogQuery(starts=("side",))) == [side, root]
    assert shas(mirror, LogQuery(excludes=(repository.change, "1" * 40))) == [repository.merge, side]
    assert shas(mirror, LogQuery(first_parent=True, starts=("default",), skip=1, limit=1)) == [
        repository.change
    ]
    assert shas(mirror, LogQuery(skip=3)) == [root]


@pytest.mark.parametrize("query", [LogQuery(starts=("gone",)), LogQuery(starts=("1" * 40,))])
def test_the_log_of_an_unknown_branch_says_so(repository: Repository, query: LogQuery) -> None:
    with pytest.raises(UnknownRevision):
        list(repository.mirror.log(query))


def test_the_log_can_be_asked_for_paths(repository: Repository) -> None:
    assert shas(repository.mirror, LogQuery(paths=("folder/ü b",))) == [repository.root]
    assert shas(repository.mirror, LogQuery(starts=("side",), paths=("folder", "side"))) == [
        repository.side,
        repository.root,
    ]
    assert shas(repository.mirror, LogQuery(paths=('") or all() or file("',))) == []


def test_a_log_of_5000_commits_streams_and_may_be_left_early(tmp_path: Path) -> None:
    source = HgSource.new(tmp_path / "source")
    source.hg("debugbuilddag", "--quiet", "+5000")
    mirror = open_mirror("hg", str(source.path), source.path)

    log = mirror.log()
    newest = next(log)
    del log

    assert newest.message == "r4999"
    assert sum(1 for _ in mirror.log()) == 5000


def test_files_are_read_at_a_revision(repository: Repository) -> None:
    mirror = repository.mirror

    assert mirror.read_file(repository.root, "a") == b"1\n2\n3\n"
    assert mirror.read_file(repository.merge, "folder/ü b") == b"x\n"
    assert mirror.read_file(repository.root, "binary") == b"\0\xff"
    assert mirror.read_file(repository.merge, "inside") == b"x\n"


@pytest.mark.parametrize("path", ["folder", "outside", "circle", "nothing here"])
def test_what_is_no_file_of_the_revision_is_missing(repository: Repository, path: str) -> None:
    with pytest.raises(MissingFile):
        repository.mirror.read_file(repository.change, path)


def test_of_many_names_those_of_files_are_told(repository: Repository) -> None:
    asked = ["a", "folder/ü b", "folder", "side", "no/such", "../a", "a\nb", "", "--all"]

    assert repository.mirror.existing(repository.change, asked) == {"a", "folder/ü b"}
    assert repository.mirror.existing("0" * 40, asked) == set()
    assert repository.mirror.existing(repository.change, []) == set()


def test_a_file_larger_than_allowed_is_refused(repository: Repository) -> None:
    with pytest.raises(TooLarge):
        repository.mirror.read_file(repository.root, "a", size_max_bytes=5)


def test_commits_are_told_by_the_files_they_change(repository: Repository) -> None:
    asked = [repository.merge, repository.change, "f" * 40, repository.side, repository.root]
    wanted = {"side", "folder/ü b"}

    found = list(repository.mirror.touching(asked, wanted.__contains__, timeout_s=60))

    assert found == [repository.merge, repository.side, repository.root]


def test_changed_files_are_right_for_roots_and_merges(repository: Repository) -> None:
    everything = ["a", "binary", "circle", "folder/ü b", "inside", "old", "outside"]

    assert repository.mirror.changed_files(repository.root) == everything
    assert repository.mirror.changed_files(repository.change) == ["a", "binary", "neu ß", "old"]
    assert repository.mirror.changed_files(repository.merge) == ["a", "binary", "neu ß", "old", "side"]


def test_a_diff_is_against_the_first_parent_or_any_base(repository: Repository) -> None:
    mirror = repository.mirror

    assert b"+zwei" in mirror.diff(repository.change)
    assert b"GIT binary patch" in mirror.diff(repository.root)
    assert b"b/side" in mirror.diff(repository.merge)
    assert b"-zwei" in mirror.diff(repository.root, base=repository.merge)


def test_ancestry_is_known(repository: Repository) -> None:
    mirror = repository.mirror

    assert mirror.is_ancestor(repository.root, repository.merge)
    assert not mirror.is_ancestor(repository.side, repository.change)
    assert mirror.merge_base(repository.side, repository.change) == repository.root


def test_a_commit_has_its_number_and_its_short_name(repository: Repository) -> None:
    assert repository.mirror.ordinal(repository.root) == f"0:{repository.root[:12]}"


def test_there_is_no_patch_id(repository: Repository) -> None:
    assert repository.mirror.patch_id(repository.change) is None


def test_an_update_brings_news_which_the_remote_announces(repository: Repository, tmp_path: Path) -> None:
    source, mirror = copies(repository, tmp_path)
    newer = source.commit({"a": b"2"})

    assert mirror.remote_branches() == {"default": newer, "side": repository.side}
    mirror.update()
    assert mirror.branches() == {"default": newer, "side": repository.side}


def test_a_remote_without_news_has_the_branches_of_the_mirror(repository: Repository) -> None:
    assert repository.mirror.remote_branches() == repository.mirror.branches()


def test_one_commit_can_be_fetched(repository: Repository, tmp_path: Path) -> None:
    source, mirror = copies(repository, tmp_path)
    newer = source.commit({"a": b"2"})

    assert mirror.fetch(newer) == newer
    with pytest.raises(UnknownRevision):
        mirror.fetch("1" * 40)


def test_a_place_without_a_repository_is_not_a_repository(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    mirror = open_mirror("hg", str(tmp_path / "place"), tmp_path / "mirror")

    with pytest.raises(NotARepository):
        mirror.update()
    with pytest.raises(NotARepository):
        mirror.branches()

    assert not mirror.exists()


def test_a_remote_that_does_not_answer_is_unreachable_and_its_password_stays_secret(tmp_path: Path) -> None:
    # Nothing listens on port 1, and an ordinary process cannot make it do so.
    mirror = open_mirror("hg", "http://zoe:hunter2@127.0.0.1:1/a", tmp_path / "mirror")

    with pytest.raises(Unreachable) as caught:
        mirror.update()

    assert "hunter2" not in str(caught.value)


def test_hooks_and_extensions_of_a_local_repository_do_not_run(
    repository: Repository, tmp_path: Path
) -> None:
    source, _ = copies(repository, tmp_path)
    hooks = "".join(
        f"{name} = touch {tmp_path / 'ran'}\n" for name in ("outgoing", "preoutgoing", "listkeys")
    )
    (source.path / ".hg" / "hgrc").write_text(
        f"[hooks]\n{hooks}[extensions]\nevil = {tmp_path / 'evil.py'}\n"
    )
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")

    open_mirror("hg", str(source.path), tmp_path / "new mirror").update()

    assert not (tmp_path / "ran").exists()


def test_a_checkout_is_clean_and_apart_from_the_mirror(repository: Repository, tmp_path: Path) -> None:
    tree = tmp_path / "tree"

    repository.mirror.checkout(repository.change, tree)

    assert (tree / "a").read_bytes() == b"1\nzwei\n3\n"
    assert call("hg", "--repository", tree, "identify", "--id", "--debug") == repository.change
    assert call("hg", "--repository", tree, "status") == ""
    assert call("hg", "--repository", tree, "paths", "default") == repository.mirror.url
    # A second name of a file would be one in the mirror.
    files = [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]
    assert all(path.stat().st_nlink == 1 for path in files)


def test_a_checkout_needs_a_known_revision_and_an_empty_folder(
    repository: Repository, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    with pytest.raises(UnknownRevision):
        repository.mirror.checkout("1" * 40, tree)
    assert not tree.exists()
    tree.mkdir()
    (tree / "mine").write_text("here")

    with pytest.raises(VcsError, match="not empty"):
        repository.mirror.checkout(repository.root, tree)


def test_a_patch_with_binary_content_and_a_rename_is_applied(repository: Repository, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    diff = repository.mirror.diff(repository.change)
    repository.mirror.checkout(repository.root, tree)

    repository.mirror.apply_patch(tree, diff)

    assert (tree / "a").read_bytes() == b"1\nzwei\n3\n"
    assert (tree / "binary").read_bytes() == b"\3\0\xff" * 50
    assert (tree / "neu ß").read_bytes() == OLD
    assert not (tree / "old").exists()


def test_a_patch_that_does_not_fit_says_where(repository: Repository, tmp_path: Path) -> None:
    diff = repository.mirror.diff(repository.change)
    repository.mirror.checkout(repository.change, tmp_path / "tree")

    with pytest.raises(PatchDoesNotApply, match="a"):
        repository.mirror.apply_patch(tmp_path / "tree", diff)
    with pytest.raises(PatchDoesNotApply):
        repository.mirror.apply_patch(tmp_path / "tree", b"this is no diff\n")


def test_a_patch_cannot_write_outside_its_tree(repository: Repository, tmp_path: Path) -> None:
    repository.mirror.checkout(repository.root, tmp_path / "tree")

    for target in ("../escaped", ".hg/hgrc"):
        diff = f"diff --git a/{target} b/{target}\nnew file mode 100644\n--- /dev/null\n+++ b/{target}\n"
        diff += "@@ -0,0 +1,1 @@\n+out\n"
        with pytest.raises(PatchDoesNotApply):
            repository.mirror.apply_patch(tmp_path / "tree", diff.encode())

    assert not (tmp_path / "escaped").exists()
    assert "out" not in (tmp_path / "tree" / ".hg" / "hgrc").read_text()
