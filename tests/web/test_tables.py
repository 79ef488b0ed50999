import csv
import io
import re
from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.web.conftest import API, refused

from changes.base.errors import Invalid
from changes.web import tables
from changes.web.pages import drawing

# What a person sees of themselves, samples, and what has an address of its own for each of its parts.
WITHOUT = {"account.html", "original_keys.html", "home.html", "plans.html", "design.html"}
# They have it within what they include.
WITHOUT |= {"statistics_body.html"}


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_each_name_is_a_column_and_what_is_below_it_too() -> None:
    rows = [{"id": "a", "result": {"id": "passed", "name": "Passed"}}, {"id": "b", "tags": ["x", "y"]}]

    assert read(tables.as_csv(rows)) == [
        ["id", "result.id", "result.name", "tags"],
        ["a", "passed", "Passed", ""],
        ["b", "", "", '["x","y"]'],
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_text_of_others_becomes_a_formula(text: str) -> None:
    assert tables.cell(text) == f"'{text}"


def test_numbers_stay_numbers() -> None:
    assert [tables.cell(value) for value in (-1, 2.5, True, None)] == [-1, 2.5, "true", ""]


def test_of_several_lists_one_must_be_named() -> None:
    data = {"days": [{"day": 1}], "plans": []}

    assert tables.rows_of(data, "days") == [{"day": 1}]
    with pytest.raises(Invalid, match=r"table=days or table=plans\."):
        tables.rows_of(data, "")


def test_of_things_by_name_each_is_a_row() -> None:
    data = {"src/a.py": {"linesCovered": 1}, "src/b.py": {"linesCovered": 2}}

    assert read(tables.as_csv(tables.rows_of(data, ""))) == [
        ["name", "linesCovered"],
        ["src/a.py", "1"],
        ["src/b.py", "2"],
    ]


def test_what_is_no_list_is_refused() -> None:
    with pytest.raises(Invalid, match="no table"):
        tables.rows_of({"id": 1}, "")


def test_every_list_of_the_api_is_a_table_on_request(reader: TestClient, session: Session) -> None:
    build = factories.a_build(session)
    build.label = "=cmd|' /C calc'!A0"
    session.flush()

    answer = reader.get(f"{API}/builds/", params={"format": "csv"})

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="builds.csv"'
    head, row = read(answer.text)
    told = dict(zip(head, row, strict=True))
    assert (told["id"], told["name"], told["status.id"]) == (
        build.id.hex,
        "'=cmd|' /C calc'!A0",
        "pending_allocation",
    )


def test_an_unknown_format_is_refused(reader: TestClient) -> None:
    answer = reader.get(f"{API}/builds/", params={"format": "xlsx"})

    assert refused(answer, 400)["error"] == 'There is no format "xlsx": json or csv.'


@pytest.mark.parametrize("template", sorted(drawing.TEMPLATES.glob("*.html")), ids=lambda each: each.name)
def test_each_page_with_a_table_leads_to_the_same_for_programs(template: Path) -> None:
    drawn = template.read_text()

    has_table = re.search(r"ui\.(table|build_table|plan_table)\(|_table\(", drawn) is not None

    assert not has_table or "exported(" in drawn or template.name in WITHOUT
