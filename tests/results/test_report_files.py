"""Files that stand inside a report, in base64, as the original's runners wrote them."""

import base64

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents
from tests.results.formats import reports

from changes.base import storage
from changes.builds import queries, reasons
from changes.builds.models import Build, JobStep
from changes.builds.rules import Result
from changes.results import artifacts, collect, report_files, test_files
from changes.results.formats.seen import FileSeen, Limits
from changes.results.models import Artifact

PNG = b"\x89PNG\r\n\x1a\n..."
TEST = "shop.TestCart.test_pay"


@pytest.fixture
def build(session: Session) -> Build:
    return factories.a_build(session)


def encoded(data: bytes) -> str:
    return base64.encodebytes(data).decode()


def a_report(*files: str, name: str = "test_pay") -> bytes:
    inside = "".join(files)
    return (
        f'<testsuite><testcase classname="shop.TestCart" name="{name}"><failure message="no"/>'
        f"<test-artifacts>{inside}</test-artifacts></testcase></testsuite>"
    ).encode()


def a_file(name: str, data: bytes, kind: str = "image") -> str:
    return f'<artifact name="{name}" type="{kind}" base64="{encoded(data)}"/>'


def after_reading(session: Session, build: Build, *contents: bytes) -> JobStep:
    step = agents.a_taken_step(session, build)
    for number, content in enumerate(contents):
        agents.leave_behind(session, step, content, f"{number}.junit.xml")
    agents.end(session, step)
    collect.collect_step(step.id)
    session.expire_all()
    return step


def of_test(session: Session, step: JobStep, test: str = TEST) -> list[Artifact]:
    return test_files.of_test(test, "", artifacts.of_step(session, step.id))


def bytes_of(file: Artifact) -> bytes:
    return b"".join(storage.storage.get().read(file.key))


def test_files_of_a_test_become_files_of_its_step(session: Session, build: Build) -> None:
    page = a_file("page", b"<p>gone</p>", "html")

    step = after_reading(session, build, a_report(a_file("shot.png", PNG), page))

    found = of_test(session, step)
    assert [(each.name.rpartition("/")[2], bytes_of(each)) for each in found] == [
        ("page.html", b"<p>gone</p>"),
        ("shot.png", PNG),
    ]
    assert of_test(session, step, "shop.TestCart.test_pay_later") == []


def test_two_files_of_one_name_are_both_kept(session: Session, build: Build) -> None:
    step = after_reading(session, build, a_report(a_file("a.png", PNG), a_file("a.png", PNG + b"2")))

    assert [each.name.rpartition("/")[2] for each in of_test(session, step)] == ["a-2.png", "a.png"]


def test_the_same_bytes_are_stored_once(session: Session, build: Build) -> None:
    first = after_reading(session, build, a_report(a_file("a.png", PNG), a_file("b.png", PNG)))
    again = after_reading(session, factories.a_build(session), a_report(a_file("a.png", PNG)))

    keys = {each.key for step in (first, again) for each in of_test(session, step)}
    assert len(keys) == 1
    assert {key for key, *_ in storage.storage.get().keys(f"artifacts/{again.id.hex}")} == set()


def test_a_file_that_is_not_base64_is_told_and_the_others_are_kept(session: Session, build: Build) -> None:
    broken = '<artifact name="x" type="text" base64="%%%"/>'

    step = after_reading(session, build, a_report(broken, a_file("a.png", PNG)))

    failures = queries.failures_of(session, [build.id])[build.id]
    told = [reasons.sentence(each.reason, each.data) for each in failures]
    assert "0.junit.xml: the file 'x' of the test 'shop.TestCart.test_pay' is not base64" in " ".join(told)
    assert len(of_test(session, step)) == 1
    assert step.result == Result.FAILED


def test_what_came_out_of_a_report_is_no_report_itself(session: Session, build: Build) -> None:
    inner = a_report(name="inside")

    step = after_reading(session, build, a_report(a_file("evil.junit.xml", inner, "text")))
    left = artifacts.of_step(session, step.id)

    assert [each.name.rpartition("/")[2] for each in left] == ["0.junit.xml", "evil.junit.xml.txt"]
    assert all(test_files.is_from_report(each.name) == (each.name != "0.junit.xml") for each in left)


@pytest.mark.parametrize(
    ("given", "kind", "kept"),
    [
        ("shot.png", "image", "shot.png"),
        ("shot.JPG", "image", "shot.JPG"),
        ("shot", "image", "shot.png"),
        ("page.html", "text", "page.html.txt"),
        ("trace.zip", "archive", "trace.zip"),
        ("../../etc/passwd", "", "passwd"),
        ("C:\\out\\a.txt", "text", "a.txt"),
        ("..", "", "file"),
        ("", "text", "file.txt"),
        ("a\u202egnp.exe\n", "", "agnp.exe"),
    ],
)
def test_a_name_says_neither_where_a_file_lies_nor_something_else_than_its_kind(
    given: str, kind: str, kept: str
) -> None:
    assert report_files.name_of(FileSeen(given, kind, "")) == kept


def test_more_than_a_test_may_have_is_left_out_and_told() -> None:
    files = [f'<artifact name="{number}" base64="{"A" * 400}"/>' for number in range(4)]

    [test] = reports.read(a_report(*files), limits=Limits(file_chars=1000))

    assert len(test.files) == 2
    assert test.message.endswith("(2 of its files are too many or too large, and left out)")


def test_an_artifact_elsewhere_in_a_case_is_just_an_element() -> None:
    [test] = reports.read(b'<testsuite><testcase name="a"><artifact base64="QQ=="/></testcase></testsuite>')

    assert test.files == ()
