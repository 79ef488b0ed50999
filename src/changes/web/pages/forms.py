"""What all forms share: words beside the fields, and who may send them."""

from collections.abc import Collection, Mapping
from typing import Any

from fastapi import Request, Response

from changes.base.errors import ChangesError, Invalid, Unavailable
from changes.projects.models import Project
from changes.web.call import Call
from changes.web.pages import drawing


class Words(dict[str, str]):
    """What is wrong, by field; nothing is wrong with all others."""

    def __missing__(self, name: str) -> str:
        return ""


class Wrong(Invalid):
    """Several fields at once, each in words of its own."""

    def __init__(self, words: Mapping[str, str]) -> None:
        super().__init__("; ".join(words.values()), list(words))
        self.words = dict(words)


RIGHT: dict[str, Any] = {"wrong": Words(), "problems": []}


def told(error: ChangesError, fields: Collection[str]) -> dict[str, Any]:
    """Beside the first of its fields that the form shows, otherwise above the form."""
    if isinstance(error, Wrong):
        return {"wrong": Words(error.words), "problems": []}
    beside = next((name for name in error.problems if name in fields), None)
    if beside is None:
        return {"wrong": Words(), "problems": [error.message]}
    return {"wrong": Words({beside: error.message}), "problems": []}


def again(request: Request, name: str, values: Mapping[str, Any], error: ChangesError) -> Response:
    """The form as it was sent. `values["fields"]` names what it shows."""
    status = 503 if isinstance(error, Unavailable) else 400
    return drawing.page(request, name, {**values, **told(error, values["fields"])}, status)


def require_project(this: Call, project: Project) -> None:
    """For forms that change it; others are told in words."""
    this.require_project(project.slug)
