"""Forms as a browser without script fills them in and sends them: with whatever stands in the page."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx
from starlette.testclient import TestClient
from tests.web.conftest import answered


@dataclass
class Form:
    action: str
    values: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


class Forms(HTMLParser):
    """Every form of a page that posts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self.form: Form | None = None
        self.area: str | None = None
        self.choice: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "form" and told.get("method") == "post":
            self.form = Form(told["action"].partition("#")[0])
            self.found.append(self.form)
        elif self.form is not None:
            self.see(self.form, tag, told)

    def see(self, form: Form, tag: str, told: dict[str, str]) -> None:
        if "name" in told:
            form.names.add(told["name"])
        if tag == "textarea":
            self.area, form.values[told["name"]] = told["name"], ""
        elif tag == "select":
            self.choice = told["name"]
        elif tag == "option" and self.choice and ("selected" in told or self.choice not in form.values):
            form.values[self.choice] = told["value"]
        elif tag == "input" and "name" in told and is_sent(told):
            form.values[told["name"]] = told.get("value", "")

    def handle_data(self, data: str) -> None:
        if self.form is not None and self.area is not None:
            self.form.values[self.area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.form = None
        elif tag == "textarea":
            self.area = None
        elif tag == "select":
            self.choice = None


def is_sent(told: dict[str, str]) -> bool:
    """As a browser would without a hand on it."""
    kind = told.get("type")
    return kind != "file" and (kind not in {"checkbox", "radio"} or "checked" in told)


def forms(page: str, ending: str) -> list[Form]:
    """Those that send to an address with this end."""
    return [form for form in Forms(page).found if form.action.endswith(ending)]


def fill_in(browser: TestClient, path: str, action: str = "", /, **typed: str) -> httpx.Response:
    """Opens the page, types into its form and sends it; `action` chooses one of several forms."""
    return send(browser, only_form(browser, path, action or path), **typed)


def only_form(browser: TestClient, path: str, action: str) -> Form:
    page = answered(browser.get(path))
    assert page.status_code == 200, page.text
    (form,) = forms(page.text, action)
    return form


def send(browser: TestClient, form: Form, **typed: str) -> httpx.Response:
    assert set(typed) <= form.names, f"the form has no field {set(typed) - form.names}"
    return answered(browser.post(form.action, data={**form.values, **typed}))
