"""What is shown of files that builds left behind; nothing in them ever becomes a page of ours."""

import hashlib
import io
import zipfile
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.builds import agents

from changes.base import clock, ids, process, storage
from changes.builds.models import Build, JobStep
from changes.results.models import Artifact

SCRIPT = b"<html><script src='app.js'></script><h1>Report</h1></html>"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
LIST = "/projects/hello/builds/1/artifacts/"
HOSTILE = [
    "<script>alert(1)</script>.txt",
    "\u202egnp.exe",
    "line\nbreak.txt",
    "a" * 1000 + ".txt",
    "%2e%2e%2fetc.txt",
    "..\\..\\boot.ini",
    "javascript:alert(1)",
    "'\"><img src=x onerror=alert(1)>",
]


@pytest.fixture
def step(session: Session) -> JobStep:
    build = factories.a_build(session, factories.a_project(session, "hello"))
    return agents.a_taken_step(session, build)


def leave(session: Session, step: JobStep, name: str, data: bytes) -> Artifact:
    artifact = agents.leave_behind(session, step, data, name)
    artifact.sha256 = hashlib.sha256(data).hexdigest()
    session.flush()
    return artifact


def page_of(browser: TestClient, artifact: Artifact) -> str:
    answer = browser.get(f"/artifacts/{artifact.id.hex}/")
    assert answer.status_code == 200
    return str(answer.text)


def frame_in(page: str) -> str:
    return page.partition('class="file-frame" src="')[2].partition('"')[0]


def test_files_are_listed_by_folder(browser: TestClient, session: Session, step: JobStep) -> None:
    for name in ("dist/a.whl", "dist/b.whl", "junit.xml"):
        leave(session, step, name, b"12345")

    page = browser.get(LIST).text

    assert page.count("dist/</bdi>") == 1
    assert "a.whl" in page
    assert "junit.xml" in page
    assert "3 files, 15 bytes in all" in page


def test_a_build_without_files_says_how_to_keep_some(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    assert "Nothing was left behind" in browser.get(LIST).text


def test_files_are_found_by_a_part_of_their_name(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    leave(session, step, "a_b.txt", b"1")
    leave(session, step, "axb.txt", b"1")

    page = browser.get(f"{LIST}?name=A_b").text

    assert "a_b.txt" in page
    assert "axb.txt" not in page
    assert "No file is called so" in browser.get(f"{LIST}?name=nothing").text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_only_ever_text(browser: TestClient, session: Session, step: JobStep, name: str) -> None:
    artifact = leave(session, step, name, b"text")

    for page in (browser.get(LIST).text, page_of(browser, artifact)):
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "\u202e" not in page.partition('class="file-name"')[2].partition("</bdi>")[0]
    assert browser.get(f"/api/0/artifacts/{artifact.id.hex}/content/").content == b"text"


def test_all_files_come_as_one_zip(browser: TestClient, session: Session, step: JobStep) -> None:
    leave(session, step, "dist/a.txt", b"one")
    leave(session, step, "..\\up:\n.txt", b"two")

    answer = browser.get(f"{LIST}all.zip")

    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "dist/a.txt": b"one",
            ".._up__.txt": b"two",
        }
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''hello-1.zip"


def test_a_file_that_is_lost_is_named_in_the_zip(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    storage.storage.get().delete(leave(session, step, "lost.txt", b"one").key)

    with zipfile.ZipFile(io.BytesIO(browser.get(f"{LIST}all.zip").content)) as archive:
        assert "lost.txt" in archive.read("MISSING.txt").decode()


def test_text_is_shown_in_colours(browser: TestClient, session: Session, step: JobStep) -> None:
    artifact = leave(session, step, "main.py", b"def f():\n    return '<b>'\n")

    page = page_of(browser, artifact)

    assert '<span class="code-keyword">def</span>' in page
    assert "&lt;b&gt;" in page


def test_of_a_long_text_the_beginning_is_shown(browser: TestClient, session: Session, step: JobStep) -> None:
    artifact = leave(session, step, "long.txt", b"line\n" * 100_000)

    assert "Only the beginning is shown" in page_of(browser, artifact)


def test_bytes_that_are_no_text_are_not_drawn(browser: TestClient, session: Session, step: JobStep) -> None:
    assert "Nothing to show" in page_of(browser, leave(session, step, "a.bin", b"\0\1\2" * 100))


def test_markdown_shows_pictures_of_its_own_step_alone(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    picture = leave(session, step, "docs/a.png", PNG)
    text = b"# Title\n![shot](a.png) ![spy](http://example.com/x.png) <script>alert(1)</script>"
    artifact = leave(session, step, "docs/read.md", text)

    page = page_of(browser, artifact)

    assert f'src="/artifacts/{picture.id.hex}/raw/"' in page
    assert "http://example.com/x.png" not in page.partition('class="markdown"')[2].partition("Its source")[0]
    assert "<script>alert" not in page


def test_a_picture_is_one_by_its_bytes_not_by_its_name(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    true, false = leave(session, step, "a.png", PNG), leave(session, step, "b.png", SCRIPT)

    answers = [browser.get(f"/artifacts/{each.id.hex}/raw/") for each in (true, false)]

    assert [each.headers["Content-Type"] for each in answers] == ["image/png", "application/octet-stream"]
    assert answers[1].headers["Content-Disposition"].startswith("attachment")


def test_a_drawing_runs_nothing(browser: TestClient, session: Session, step: JobStep) -> None:
    artifact = leave(session, step, "a.svg", SVG)

    answer = browser.get(f"/artifacts/{artifact.id.hex}/raw/")

    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert "sandbox;" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "alert(1)" not in page_of(browser, artifact)


def test_a_report_is_shown_in_a_frame_that_knows_nothing_of_us(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    leave(session, step, "htmlcov/app.js", b"fetch('data.json')")
    address = frame_in(page_of(browser, leave(session, step, "htmlcov/index.html", SCRIPT)))
    browser.cookies.clear()

    answer = browser.get(address)
    beside = browser.get(address.replace("index.html", "app.js"))

    policy = answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert policy.startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in policy
    assert "Set-Cookie" not in answer.headers
    assert (beside.status_code, beside.headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_the_address_of_a_report_is_good_for_some_hours_and_one_step(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    other = agents.a_taken_step(session, factories.a_build(session))
    leave(session, other, "secret.html", SCRIPT)
    address = frame_in(page_of(browser, leave(session, step, "index.html", SCRIPT)))
    forged = address.replace(step.id.hex, other.id.hex).replace("index.html", "secret.html")

    answers = [browser.get(each).status_code for each in (forged, address.replace("index", "secret"))]
    with time_machine.travel(clock.now() + timedelta(hours=9)):
        answers.append(browser.get(address).status_code)

    assert answers == [404, 404, 404]


def test_with_an_address_of_their_own_reports_are_shown_nowhere_else(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    own = process.settings.get().model_copy(update={"artifact_url": "https://files.example.com"})
    process.settings.set(own)
    page = browser.get(f"/artifacts/{leave(session, step, 'index.html', SCRIPT).id.hex}/")
    path = frame_in(page.text).removeprefix("https://files.example.com")

    here = browser.get(path)
    there = browser.get(path, headers={"Host": "files.example.com"})

    assert "frame-src 'self' https://files.example.com" in page.headers["Content-Security-Policy"]
    assert (here.status_code, there.status_code) == (404, 200)


def an_archive() -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as archive:
        archive.writestr("../../etc/passwd", "root")
        archive.writestr("page.html", SCRIPT)
    return kept.getvalue()


def test_an_archive_is_looked_into(browser: TestClient, session: Session, step: JobStep) -> None:
    artifact = leave(session, step, "a.zip", an_archive())

    page = page_of(browser, artifact)
    inside = browser.get(f"/artifacts/{artifact.id.hex}/?inside=1")
    taken = browser.get(f"/artifacts/{artifact.id.hex}/inside/1/")

    assert "../../etc/passwd" in page
    assert "Report" in inside.text
    assert "<iframe" not in inside.text
    assert (taken.content, taken.headers["Content-Type"]) == (SCRIPT, "application/octet-stream")
    assert taken.headers["Content-Disposition"] == "attachment; filename*=UTF-8''page.html"


@pytest.mark.parametrize("inside", ["2", "x", "-1", "9" * 30])
def test_what_is_not_in_an_archive_is_not_found(
    browser: TestClient, session: Session, step: JobStep, inside: str
) -> None:
    artifact = leave(session, step, "a.zip", an_archive())

    assert browser.get(f"/artifacts/{artifact.id.hex}/?inside={inside}").status_code == 404


def test_a_broken_archive_is_told_in_words(browser: TestClient, session: Session, step: JobStep) -> None:
    assert "The archive cannot be read" in page_of(browser, leave(session, step, "a.zip", b"PK nonsense"))


def test_what_was_removed_is_told(browser: TestClient, session: Session, step: JobStep) -> None:
    artifact = leave(session, step, "old.txt", b"text")
    artifact.date_removed = clock.now()
    session.flush()

    page = page_of(browser, artifact)

    assert "It is not here any more" in page
    assert browser.get(f"/api/0/artifacts/{artifact.id.hex}/content/").status_code == 410
    assert "removed" in browser.get(LIST).text


def test_a_part_of_a_file_is_given_and_told_by_its_digest(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    artifact = leave(session, step, "a.bin", b"0123456789")
    address = f"/api/0/artifacts/{artifact.id.hex}/content/"
    tag = f'"{artifact.sha256}"'

    part = browser.get(address, headers={"Range": "bytes=2-4"})
    same = browser.get(address, headers={"If-None-Match": tag})
    other = browser.get(address, headers={"Range": "bytes=2-4", "If-Range": '"another"'})

    assert (part.status_code, part.content, part.headers["ETag"]) == (206, b"234", tag)
    assert same.status_code == 304
    assert (other.status_code, other.content) == (200, b"0123456789")


def test_how_long_files_are_kept_is_told(browser: TestClient, session: Session, step: JobStep) -> None:
    leave(session, step, "a.txt", b"1")
    build = session.get_one(Build, step.job.build_id)
    build.date_finished = clock.now()
    session.flush()
    until = clock.now() + timedelta(days=90)

    assert until.strftime("%Y-%m-%d") in browser.get(LIST).text


def test_nobody_finds_what_is_not_there(browser: TestClient) -> None:
    assert browser.get(f"/artifacts/{ids.new().hex}/").status_code == 404
    assert browser.get("/files/nonsense/index.html").status_code == 404
