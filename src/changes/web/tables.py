"""Any list that the API answers, as a table for spreadsheets: `?format=csv`."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import Request, Response

from changes.base.errors import Invalid
from changes.web import answers

FORMAT, TABLE, CSV = "format", "table", "csv"
# Deeper than that, a value is written as JSON.
DEPTH_MAX = 3
# With these a spreadsheet begins to calculate, and what it calculates may come from anybody.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Wanted:
    """The name of one of several lists, or of the only one; and what the file is called."""

    table: str
    filename: str


def wanted(request: Request) -> Wanted | None:
    given = request.query_params.get(FORMAT, "")
    # Logs are also told as text, and say so before anybody asks here.
    if request.method != "GET" or given in ("", "json", getattr(request.state, "own_format", "")):
        return None
    if given != CSV:
        raise Invalid(f'There is no format "{given}": json or csv.', [FORMAT])
    table = request.query_params.get(TABLE, "")
    # A word of the address, which is told to the browser in a header.
    words = [word for word in request.url.path.split("/") if word.isascii() and word.isidentifier()]
    return Wanted(table, f"{table if table.isidentifier() else words[-1]}.csv")


def answer(data: Any, asked: Wanted, headers: Mapping[str, str]) -> Response:
    """The links to further pages are in the header, as ever."""
    told = {
        **answers.HEADERS,
        **headers,
        "Content-Disposition": f'attachment; filename="{asked.filename}"',
    }
    return Response(as_csv(rows_of(data, asked.table)), 200, told, media_type="text/csv; charset=utf-8")


def rows_of(data: Any, table: str) -> list[Any]:
    """The list that is the answer, or the one in it; of things by name, each is a row."""
    plain = msgspec.to_builtins(data)
    if isinstance(plain, list) and not table:
        return plain
    if isinstance(plain, dict) and all(isinstance(each, dict) for each in plain.values()):
        return [{"name": name, **each} for name, each in plain.items()]
    named = plain.items() if isinstance(plain, dict) else ()
    lists = {name: value for name, value in named if isinstance(value, list)}
    if table in lists:
        return lists[table]
    if len(lists) == 1 and not table:
        return next(iter(lists.values()))
    if not lists:
        raise Invalid("This answer is no table; it can only be had as JSON.", [FORMAT])
    raise Invalid(f"Say which table: {TABLE}=" + f" or {TABLE}=".join(sorted(lists)) + ".", [TABLE])


def as_csv(rows: Iterable[Any]) -> str:
    flat = [flattened(row) for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([cell(row.get(name)) for name in columns] for row in flat)
    return text.getvalue()


def flattened(row: Any, depth: int = 1) -> dict[str, Any]:
    """{"a": {"b": 1}} is the column a.b."""
    if not isinstance(row, dict):
        return {"value": row}
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict) and value and depth < DEPTH_MAX:
            found |= {f"{name}.{below}": each for below, each in flattened(value, depth + 1).items()}
        else:
            found[name] = value
    return found


def cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return msgspec.json.encode(value).decode()
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value
