"""What a git mirror tells about commits, files and differences."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.vcs.sources import MOMENT, GitSource

from changes.vcs.errors import BadName, MissingFile, TooLarge, UnknownRevision
from changes.vcs.interface import LogQuery, Mirror, Person
from changes.vcs.open import open_mirror


class Repository:
    """A root, a change, and a merge of a side branch; seen through its mirror."""

    def __init__(self, folder: Path) -> None:
        self.source = GitSource.new(folder / "source")
        self.root = self.source.commit({"a": b"1\n2\n3\n", "folder/ü b": b"x\n", "binary": b"\0\xff"})
        self.source.git("tag", "-a", "v1", "-m", "First")
        self.source.git("checkout", "--quiet", "-b", "side")
        self.side = self.source.commit({"side": b"s\n"}, "On the side")
        self.source.git("checkout", "--quiet", "main")
        self.change = self.source.commit({"a": b"1\nzwei\n3\n"}, "Zweiter Schritt ✓\n\nWith a body.\n")
        self.merge = self.source.merge("side")
        self.mirror: Mirror = open_mirror("git", str(self.source.path), folder / "mirror")
        self.mirror.update()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("reading"))


def grown(tmp_path: Path) -> tuple[GitSource, Mirror]:
    return GitSource.new(tmp_path / "source"), open_mirror(
        "git", str(tmp_path / "source"), tmp_path / "mirror"
    )


def test_a_revision_is_told_in_full(repository: Repository) -> None:
    seen = repository.mirror.revision(repository.change)

    assert seen.sha == repository.change
    assert seen.parents == (repository.root,)
    assert seen.author == Person("Zoë Müller", "zoe@example.com")
    assert seen.committer == Person("Gate Keeper", "gate@example.com")
    assert seen.authored_at == datetime.fromtimestamp(MOMENT, UTC)
    assert seen.committed_at == datetime.fromtimestamp(MOMENT + 60, UTC)
    assert seen.message == "Zweiter Schritt ✓\n\nWith a body."


def test_a_root_has_no_parent_and_a_merge_has_two(repository: Repository) -> None:
    assert repository.mirror.revision(repository.root).parents == ()
    assert repository.mirror.revision(repository.merge).parents == (repository.change, repository.side)


def test_names_lead_to_full_shas(repository: Repository) -> None:
    mirror = repository.mirror

    assert mirror.resolve("main") == repository.merge
    assert mirror.resolve("HEAD") == repository.merge
    assert mirror.resolve("v1") == repository.root
    assert mirror.resolve(repository.side) == repository.side
    assert mirror.resolve(repository.side[:9]) == repository.side
    assert mirror.resolve("refs/heads/side") == repository.side


@pytest.mark.parametrize("name", ["gone", "1" * 40, "FETCH_HEAD", "config", "v1-0-gabcdef0", "beef"])
def test_other_names_are_unknown(repository: Repository, name: str) -> None:
    with pytest.raises(UnknownRevision):
        repository.mirror.resolve(name)


def test_a_branch_wins_over_a_tag_and_the_beginning_of_a_sha(tmp_path: Path) -> None:
    source, mirror = grown(tmp_path)
    first = source.commit({"a": b"1"})
    second = source.commit({"a": b"2"})
    source.git("tag", "release", first)
    source.git("branch", "release", second)
    source.git("branch", first[:8], second)
    mirror.update()

    assert mirror.resolve("release") == second
    assert mirror.resolve(first[:8]) == second


def test_a_hostile_name_is_refused_before_git_sees_it(repository: Repository) -> None:
    with pytest.raises(BadName):
        repository.mirror.resolve("--output=/tmp/x")
    with pytest.raises(BadName):
        list(repository.mirror.log(LogQuery(starts=("--all",))))
    with pytest.raises(BadName):
        repository.mirror.revision("main")


def test_the_mirror_knows_what_it_has(repository: Repository) -> None:
    assert repository.mirror.has(repository.side)
    assert not repository.mirror.has("1" * 40)
    # A tree, not a commit.
    assert not repository.mirror.has(repository.source.git("rev-parse", "HEAD^{tree}"))


def test_an_unknown_revision_is_named_by_every_reader(repository: Repository) -> None:
    mirror, unknown = repository.mirror, "1" * 40

    for read in (mirror.revision, mirror.changed_files, mirror.diff, mirror.branches_of, mirror.patch_id):
        with pytest.raises(UnknownRevision):
            read(unknown)
    with pytest.raises(UnknownRevision):
        mirror.read_file(unknown, "a")
    with pytest.raises(UnknownRevision):
        mirror.is_ancestor(unknown, repository.root)
    with pytest.raises(UnknownRevision):
        mirror.merge_base(repository.root, unknown)


def shas(mirror: Mirror, query: LogQuery) -> list[str]:
    return [seen.sha for seen in mirror.log(query)]


def test_the_log_has_the_commits_of_all_branches_or_of_some(repository: Repository) -> None:
    everything = {repository.root, repository.side, repository.change, repository.merge}

    assert set(shas(repository.mirror, LogQuery())) == everything
    assert shas(repository.mirror, LogQuery(starts=("side",))) == [repository.side, repository.root]


def test_the_log_leaves_out_what_is_known_even_if_some_of_it_is_gone(repository: Repository) -> None:
    query = LogQuery(excludes=(repository.change, "1" * 40, "gone"))

    assert set(shas(repository.mirror, query)) == {repository.merge, repository.side}


def test_the_log_can_be_cut_and_stay_on_the_main_line(repository: Repository) -> None:
    mirror = repository.mirror

    assert shas(mirror, LogQuery(starts=("main",), first_parent=True, skip=1, limit=1)) == [repository.change]


def test_the_log_can_be_asked_for_paths(repository: Repository) -> None:
    assert shas(repository.mirror, LogQuery(paths=("folder/ü b",))) == [repository.root]
    assert shas(repository.mirror, LogQuery(paths=("fold*",))) == []


def test_the_log_of_an_unknown_branch_says_so(repository: Repository) -> None:
    with pytest.raises(UnknownRevision):
        repository.mirror.log(LogQuery(starts=("gone",)))


def test_a_log_of_5000_commits_streams_and_may_be_left_early(tmp_path: Path) -> None:
    source, mirror = grown(tmp_path)
    source.grow(5000)
    mirror.update()

    log = mirror.log()
    newest = next(log)
    del log

    assert newest.committed_at == datetime.fromtimestamp(MOMENT + 4999, UTC)
    assert sum(1 for _ in mirror.log()) == 5000


def test_strange_commits_are_told_as_far_as_possible(tmp_path: Path) -> None:
    source, mirror = grown(tmp_path)
    source.commit({"a": b"1"})
    tree = source.git("rev-parse", "HEAD^{tree}")
    raw = b"tree %s\nauthor  <> 99999999999999 +0000\ncommitter \xe9 <> 5 +0000\n\n\xe9t\xe9" % tree.encode()
    sha = source.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=raw)
    source.git("update-ref", "refs/heads/strange", sha)
    mirror.update()

    seen = mirror.revision(sha)

    assert seen.author == Person("", "")
    assert seen.authored_at.year in {1970, 9999}
    assert "t" in seen.message


def test_branches_of_a_commit_are_those_that_contain_it(repository: Repository) -> None:
    assert repository.mirror.branches_of(repository.side) == ["main", "side"]
    assert repository.mirror.branches_of(repository.change) == ["main"]


def test_files_are_read_at_a_revision(repository: Repository) -> None:
    mirror = repository.mirror

    assert mirror.read_file(repository.root, "a") == b"1\n2\n3\n"
    assert mirror.read_file(repository.change, "a") == b"1\nzwei\n3\n"
    assert mirror.read_file(repository.merge, "folder/ü b") == b"x\n"
    assert mirror.read_file(repository.merge, "binary") == b"\0\xff"


@pytest.mark.parametrize("path", ["side", "folder", "a/b", "nothing here"])
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

    assert repository.mirror.read_file(repository.root, "a", size_max_bytes=6) == b"1\n2\n3\n"


def test_links_are_followed_inside_the_repository_only(tmp_path: Path) -> None:
    source, mirror = grown(tmp_path)
    source.path.joinpath("inside").symlink_to("folder/real")
    source.path.joinpath("outside").symlink_to("../../../../etc/hostname")
    source.path.joinpath("absolute").symlink_to("/etc/hostname")
    source.path.joinpath("circle").symlink_to("circle")
    source.path.joinpath("dangling").symlink_to("gone")
    sha = source.commit({"folder/real": b"content"})
    mirror.update()

    assert mirror.read_file(sha, "inside") == b"content"
    for name in ("outside", "absolute", "circle", "dangling"):
        with pytest.raises(MissingFile):
            mirror.read_file(sha, name)


def test_files_are_those_of_the_commit_alone(repository: Repository) -> None:
    assert repository.mirror.files(repository.root) == ["a", "binary", "folder/ü b"]
    assert repository.mirror.files(repository.merge) == ["a", "binary", "folder/ü b", "side"]


def test_changed_files_of_a_root_are_all_its_files(repository: Repository) -> None:
    assert repository.mirror.changed_files(repository.root) == ["a", "binary", "folder/ü b"]


def test_changed_files_of_a_merge_are_those_it_brings_to_either_side(repository: Repository) -> None:
    assert repository.mirror.changed_files(repository.merge) == ["a", "side"]


def test_a_rename_changes_both_names(tmp_path: Path) -> None:
    source, mirror = grown(tmp_path)
    source.commit({"old": b"the same content\n" * 10})
    source.git("mv", "old", "new")
    sha = source.commit({})
    mirror.update()

    assert mirror.changed_files(sha) == ["new", "old"]
    assert b"rename from old" in mirror.diff(sha)


def test_commits_are_told_by_the_files_they_change(repository: Repository) -> None:
    asked = [repository.merge, repository.change, "f" * 40, repository.side, repository.root]

    def touching(name: str) -> list[str]:
        return list(repository.mirror.touching(asked, lambda each: each == name, timeout_s=60))

    assert touching("a") == [repository.merge, repository.change, repository.root]
    assert touching("side") == [repository.merge, repository.side]
    assert touching("folder/ü b") == [repository.root]


def test_a_diff_is_against_the_first_parent_or_any_base(repository: Repository) -> None:
    mirror = repository.mirror

    assert b"+zwei" in mirror.diff(repository.change)
    assert b"GIT binary patch" in mirror.diff(repository.root)
    assert b"b/side" in mirror.diff(repository.merge)
    assert b"zwei" not in mirror.diff(repository.merge)
    assert b"-zwei" in mirror.diff(repository.root, base=repository.merge)


def test_ancestry_is_known(repository: Repository) -> None:
    mirror = repository.mirror

    assert mirror.is_ancestor(repository.root, repository.merge)
    assert mirror.is_ancestor(repository.root, repository.root)
    assert not mirror.is_ancestor(repository.side, repository.change)
    assert mirror.merge_base(repository.side, repository.change) == repository.root


def test_a_commit_is_told_with_the_number_of_those_that_led_to_it(repository: Repository) -> None:
    assert repository.mirror.ordinal(repository.root) == f"1:{repository.root}"


def test_unrelated_histories_have_no_common_ancestor(tmp_path: Path) -> None:
    source, mirror = grown(tmp_path)
    first = source.commit({"a": b"1"})
    source.git("checkout", "--quiet", "--orphan", "other")
    second = source.commit({"b": b"1"})
    mirror.update()

    assert mirror.merge_base(first, second) is None


def test_the_same_change_elsewhere_has_the_same_patch_id(tmp_path: Path) -> None:
    source, mirror = grown(tmp_path)
    base = source.commit({"a": b"1\n"})
    change = source.commit({"b": b"2\n"})
    source.git("checkout", "--quiet", "-b", "other", base)
    unlike = source.commit({"c": b"3\n"})
    source.git("cherry-pick", change)
    picked = source.git("rev-parse", "HEAD")
    mirror.update()

    assert mirror.patch_id(change) == mirror.patch_id(picked) is not None
    assert mirror.patch_id(change) != mirror.patch_id(unlike)


def test_a_commit_without_changes_has_no_patch_id(tmp_path: Path) -> None:
    source, mirror = grown(tmp_path)
    source.commit({"a": b"1\n"})
    empty = source.commit({})
    mirror.update()

    assert mirror.patch_id(empty) is None
    assert mirror.changed_files(empty) == []
