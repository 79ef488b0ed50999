"""What pages ask: what a build is compared with, its folders, a project through its commits."""

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.results.coverage import built, told
from tests.results.coverage.built import PATCH
from tests.results.coverage.reports import marked

from changes.base.errors import TooLarge
from changes.base.paging import Page
from changes.builds.models import Build
from changes.builds.rules import Result
from changes.projects.models import Project
from changes.results.coverage import groups, queries, store
from changes.results.coverage.queries import BaseCoverage, Counts

FILES = {
    "src/app/a.py": "CCCU",
    "src/app/b.py": "UUU",
    "src/lib/deep/one.py": "CU",
    "src/lib/deep/two.py": "C",
    "src/top.py": "P",
}
PAGE = Page(size=50)


@pytest.fixture
def project(session: Session) -> Project:
    return built.an_unread_project(session)


def base_of(session: Session, build: Build) -> BaseCoverage | None:
    found = queries.of_build(session, build)
    assert found is not None
    return found.base


def test_a_build_is_compared_with_the_nearest_commit_below_that_has_coverage(
    session: Session, project: Project
) -> None:
    old = told.of_commit(session, project, {"a": "CU"})
    base = told.of_commit(session, project, {"a": "CCU"}, parents=[old.source.revision_sha])
    without = told.a_commit(session, project, base.source.revision_sha)
    build = told.of_commit(session, project, {"a": "CCC"}, parents=[without.revision_sha])

    found = base_of(session, build)

    assert found == BaseCoverage(base.id, base.number, base.source.revision_sha, 2, 1, Counts(2, 1))


def test_of_several_builds_of_one_commit_the_newest_is_the_base(session: Session, project: Project) -> None:
    first = told.of_commit(session, project, {"a": "U"})
    again = told.of_commit(session, project, {})
    again.source = first.source
    told.tell(session, again, {"a": "C"})
    build = told.of_commit(session, project, {"a": "C"}, parents=[first.source.revision_sha])

    found = base_of(session, build)

    assert found is not None
    assert found.build_id == again.id


def test_a_patch_is_compared_with_the_commit_it_is_made_for(session: Session, project: Project) -> None:
    base = told.of_commit(session, project, {"src/app.py": "CU"})
    build = told.of_patch(session, project, base.source.revision_sha, {"src/app.py": "CUC"}, PATCH)

    found = base_of(session, build)

    assert found is not None
    assert (found.build_id, found.commits_below) == (base.id, 0)


@pytest.mark.parametrize("result", [Result.ABORTED, Result.INFRA_FAILED])
def test_a_build_that_did_not_come_to_its_end_is_no_base(
    session: Session, project: Project, result: Result
) -> None:
    cut = told.of_commit(session, project, {"a": "CU"})
    told.end(session, cut, result)
    build = told.of_commit(session, project, {"a": "C"}, parents=[cut.source.revision_sha])

    assert base_of(session, build) is None


def test_a_commit_beside_is_no_base(session: Session, project: Project) -> None:
    told.of_commit(session, project, {"a": "CU"})
    build = told.of_commit(session, project, {"a": "C"})

    assert base_of(session, build) is None


def test_a_history_of_many_merges_is_walked_in_bounded_time(session: Session, project: Project) -> None:
    root = told.of_commit(session, project, {"a": "CU"})
    layer = [root.source.revision_sha]
    for _ in range(12):
        layer = [told.a_commit(session, project, *layer).revision_sha for _ in range(2)]
    build = told.of_commit(session, project, {"a": "C"}, parents=layer)

    found = base_of(session, build)

    assert found is not None
    assert (found.build_id, found.commits_below) == (root.id, 13)


def test_points_are_told_against_the_base(session: Session, project: Project) -> None:
    base = told.of_commit(session, project, {"a": "CU"})
    build = told.of_commit(session, project, {"a": "CCCU"}, parents=[base.source.revision_sha])

    found = queries.of_build(session, build)

    assert found is not None
    assert found.points_more == pytest.approx(25)


def test_a_build_without_reports_has_none(session: Session, project: Project) -> None:
    assert queries.of_build(session, told.of_commit(session, project, {})) is None


# --- folders ------------------------------------------------------------------------------


def test_a_folder_is_the_sum_of_what_is_in_it_and_the_most_uncovered_comes_first(
    session: Session, project: Project
) -> None:
    build = told.of_commit(session, project, FILES)

    found = queries.level(session, build.id, "src/", PAGE, "uncovered")

    assert [(each.name, each.path, each.file_count, each.counts, each.partial) for each in found.rows] == [
        ("app", "src/app/", 2, Counts(3, 4), 0),
        ("lib", "src/lib/", 2, Counts(2, 1), 0),
        ("top.py", "src/top.py", 1, Counts(0, 1), 1),
    ]


def test_folders_that_are_no_choice_are_passed(session: Session, project: Project) -> None:
    build = told.of_commit(session, project, FILES)

    assert queries.shared_folder(session, build.id) == "src/"
    assert queries.shared_folder(session, build.id, "src/lib/") == "src/lib/deep/"
    assert queries.shared_folder(session, build.id, "src/top.py") == "src/top.py"


@pytest.mark.parametrize("sort", sorted(queries.LEVEL_ORDERS))
def test_a_level_comes_in_parts_in_any_order(session: Session, project: Project, sort: str) -> None:
    build = told.of_commit(session, project, FILES)

    parts = [queries.level(session, build.id, "src/", Page(number, 2), sort) for number in (1, 2)]

    assert sorted(each.name for part in parts for each in part.rows) == ["app", "lib", "top.py"]
    assert [part.has_next for part in parts] == [True, False]


def test_names_with_signs_of_patterns_are_only_names(session: Session, project: Project) -> None:
    build = told.of_commit(session, project, {"a%_/x.py": "C", "ab/x.py": "U"})

    assert [each.path for each in queries.files(session, build.id, "a%", PAGE, "name").rows] == ["a%_/x.py"]


def test_groups_are_those_of_the_original(session: Session, project: Project) -> None:
    build = told.of_commit(session, project, FILES)

    found = groups.below(session, build.id, "src")

    assert [(each.name, each.path, each.file_count, each.counts) for each in found] == [
        ("app", "src/app", 2, Counts(3, 4)),
        ("lib/deep", "src/lib/deep", 2, Counts(2, 1)),
        ("top.py", "src/top.py", 1, Counts(0, 1)),
    ]
    assert groups.trail("src/lib") == [("src", "src"), ("src/lib", "lib")]


def test_codes_are_told_for_each_file_of_a_folder(session: Session, project: Project) -> None:
    build = told.of_commit(session, project, FILES)

    assert queries.codes(session, build.id, "src/t") == {"src/top.py": "U"}
    assert queries.codes(session, build.id)["src/app/a.py"] == "CCCU"


def test_more_lines_than_fit_into_an_answer_are_refused_in_words(
    session: Session, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "CODES_MAX_LINES", 5)
    build = told.of_commit(session, project, FILES)

    with pytest.raises(TooLarge, match="prefix"):
        queries.codes(session, build.id)


# --- a project ----------------------------------------------------------------------------


def test_the_way_of_a_project_has_its_commits_and_no_patches(session: Session, project: Project) -> None:
    first = told.of_commit(session, project, {"src/app.py": "CU"})
    told.of_patch(session, project, first.source.revision_sha, {"src/app.py": "C"}, PATCH)
    second = told.of_commit(session, project, {"src/app.py": "CC"})
    told.end(session, told.of_commit(session, project, {"src/app.py": "U"}), Result.ABORTED)

    found = queries.trend(session, project.id, limit=10)

    assert [(each.build_id, each.counts) for each in found] == [
        (first.id, Counts(1, 1)),
        (second.id, Counts(2, 0)),
    ]
    assert queries.newest_passed(session, project.id) == second.id


def test_names_that_are_no_files_are_told_of_all_steps(session: Session, project: Project) -> None:
    build = told.of_commit(session, project, {"a": "C"})
    (step,) = factories.steps_of(session, build)

    store.store(session, step, {"a": marked("C")}, ["/usr/include/x.h", "gen.c"])

    assert queries.strange_names(session, build.id) == (2, ["/usr/include/x.h", "gen.c"])
