import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base.errors import Invalid, NotFound
from changes.base.paging import Page
from changes.builds.models import JobStep
from changes.projects.models import Project
from changes.results import cause_queries, causes, models, testruns
from changes.results.cause_queries import CausesAsked, CauseSeen
from changes.results.formats import seen as formats
from changes.results.verdict_models import FailureCause

REFUSED = "ConnectionError: no answer from port 5432"
ALL, WEEK = Page(1, 50), CausesAsked()


def failed(name: str, message: str = REFUSED) -> formats.TestSeen:
    return formats.TestSeen(name, "a", "failed", message=message)


@pytest.fixture
def project(session: Session) -> Project:
    return factories.a_project(session)


def stored(session: Session, project: Project, *tests: formats.TestSeen) -> JobStep:
    step = agents.a_taken_step(session, factories.a_build(session, project))
    testruns.store(session, step, tests)
    return step


def listed(session: Session, project: Project | None, asked: CausesAsked = WEEK) -> list[CauseSeen]:
    return list(cause_queries.listed(session, project, ALL, asked).rows)


def counts(seen: CauseSeen) -> tuple[int, int]:
    return seen.runs, seen.builds


def test_failures_that_say_the_same_are_one_cause(session: Session, project: Project) -> None:
    stored(session, project, failed("a.one"), failed("a.two", "ConnectionError: no answer from port 41001"))
    stored(session, project, failed("a.three"), failed("a.four", "KeyError: 'x'"))

    first, second = listed(session, project)

    assert (first.cause.headline, counts(first)) == (REFUSED, (3, 2))
    assert (second.cause.headline, counts(second)) == ("KeyError: 'x'", (1, 1))


def test_what_passed_or_said_nothing_has_no_cause(session: Session, project: Project) -> None:
    stored(
        session, project, failed("a.mute", ""), formats.TestSeen("a.skips", "a", "skipped", message=REFUSED)
    )

    assert listed(session, project) == []


def test_a_report_that_is_stored_again_counts_once(session: Session, project: Project) -> None:
    step = stored(session, project, failed("a.one"), failed("a.two", "KeyError: 'x'"))

    testruns.store(session, step, [failed("a.one")])

    (seen,) = listed(session, project)
    assert counts(seen) == (1, 1)


def test_causes_of_a_project_are_its_own(session: Session, project: Project) -> None:
    other = factories.a_project(session)
    stored(session, project, failed("a.one"))
    stored(session, other, failed("a.one"))

    assert len(listed(session, project)) == 1
    assert {seen.project.slug for seen in listed(session, None)} == {project.slug, other.slug}


def test_a_report_full_of_news_is_bounded(
    session: Session, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causes, "NEW_PER_REPORT", 3)
    words = ("alpha", "beta", "gamma", "delta", "epsilon")

    stored(session, project, *(failed(f"a.{word}", f"{word} is broken") for word in words))

    assert len(listed(session, project)) == 3


def test_a_verdict_follows_to_later_builds(session: Session, project: Project) -> None:
    stored(session, project, failed("a.one"))
    (seen,) = listed(session, project)
    told = causes.Told("The server is too small", "https://bugs.example.com/T7", "infra")
    causes.say(session, seen.cause, told, by="zoe@example.com")

    step = stored(session, project, failed("a.other"))

    run_ids = (
        session.execute(select(models.TestRun.id).order_by(models.TestRun.id.desc()).limit(1)).scalars().all()
    )
    (found,) = cause_queries.of_runs(session, run_ids).values()
    assert (found.note, found.verdict, found.noted_by) == (told.note, "infra", "zoe@example.com")
    newest, _ = cause_queries.builds_of(session, found, ALL).rows
    assert newest.build.id == step.job.build_id
    assert listed(session, project, CausesAsked(only="unknown")) == []
    assert len(listed(session, project, CausesAsked(only="known", text="too small"))) == 1


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//bugs.example.com/1",
        "bugs.example.com",
        "https://",
        "https://[",
        "https://good.example@evil.example/",
        "https://a b/",
        "https://a/\n",
        "https://a/" + "x" * 3000,
    ],
)
def test_a_tracker_is_an_address_of_the_web(session: Session, project: Project, url: str) -> None:
    stored(session, project, failed("a.one"))
    (seen,) = listed(session, project)

    if url == "https://a/\n":
        causes.say(session, seen.cause, causes.Told(tracker_url=url), by="zoe")
        assert seen.cause.tracker_url == "https://a/"
    else:
        with pytest.raises(Invalid):
            causes.say(session, seen.cause, causes.Told(tracker_url=url), by="zoe")


def test_its_tests_and_its_words_are_told(session: Session, project: Project) -> None:
    stored(session, project, failed("a.one"), failed("a.two"))
    stored(session, project, failed("a.one"))
    (seen,) = listed(session, project)

    tests = cause_queries.tests_of(session, seen.cause)

    assert [(test.name, runs) for test, runs in tests] == [("a.one", 2), ("a.two", 1)]
    assert cause_queries.example(session, seen.cause) == REFUSED


def test_it_is_known_when_its_runs_are_not_kept_any_more(session: Session, project: Project) -> None:
    stored(session, project, failed("a.one"))
    (seen,) = listed(session, project)

    for table in (models.TestMessage, models.TestRun, models.TestBatch):
        session.execute(delete(table))

    assert counts(cause_queries.seen(session, seen.cause, project)) == (1, 1)
    assert len(cause_queries.builds_of(session, seen.cause, ALL).rows) == 1
    assert cause_queries.example(session, seen.cause) == ""


def test_a_cause_of_another_project_is_not_found(session: Session, project: Project) -> None:
    stored(session, project, failed("a.one"))
    found = session.execute(select(FailureCause)).scalar_one()

    with pytest.raises(NotFound):
        cause_queries.cause(session, factories.a_project(session), found.outside_id)
