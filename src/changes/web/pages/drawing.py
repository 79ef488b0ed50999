"""Templates: what they can say, how they are filled, and the headers every page of ours carries.

Components are macros in `templates/components/`; every page reaches all of them as `ui.name(...)`.
"""

import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, unquote

from fastapi import Request, Response
from fastapi.templating import Jinja2Templates
from jinja2 import (
    BytecodeCache,
    Environment,
    FileSystemBytecodeCache,
    FileSystemLoader,
    StrictUndefined,
    select_autoescape,
)
from markupsafe import Markup

from changes.base import clock, ids
from changes.people.rules import Scope
from changes.web import answers, auth, banner
from changes.web.answers import TOAST_COOKIE
from changes.web.auth import Caller
from changes.web.pages import ansi, charts, links, phrasing, states
from changes.web.pages.states import State

FOLDER = Path(__file__).parent.parent
TEMPLATES = FOLDER / "templates"
COMPONENTS = "components"
BUNDLE_STAMP = FOLDER / "static" / ".inputs"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# What the script remembers of a reader's taste. The server draws it, so that no page flashes.
CHOICES = {"theme": {"light", "dark"}, "palette": {"safe"}}
# A tab may stand on a light or a dark bar, so its colours are of a middle lightness.
TAB_COLOURS = {
    "passed": "#2da44e",
    "failed": "#e5484d",
    "infra": "#a45ee5",
    "aborted": "#a18072",
    "running": "#3b8eea",
    "collecting": "#3a9fc0",
    "quarantined": "#c98a1b",
    "brand": "#23888c",
}
TAB_COLOUR_OTHERWISE = "#80868f"
SIGNS = {"passed": "✓", "failed": "✗", "infra": "⚠", "aborted": "⊘", "running": "▸", "collecting": "▸"}
SIGN_OTHERWISE = "·"
PRODUCT = "Changes"
TIMES = ("duration", "machine_duration", "ago", "exact", "machine_time", "number")
FILTERS = (*TIMES, "initials", "avatar_colour", "share", "percent", "points", "size", "gist", "tracker")
# Text, address, icon, keys.
NAVIGATION = [
    ("Home", "/", "home", "g h"),
    ("Projects", "/projects/", "project", "g p"),
    ("Changes", "/changes/", "commit", "g c"),
    ("Failures", "/failures/", "warning", "g f"),
    ("Plans", "/plans/", "plan", "g l"),
    ("Queue", "/queue/", "queue", "g q"),
    ("Nodes", "/nodes/", "node", "g n"),
    ("Statistics", "/statistics/", "chart", "g s"),
]


def page(request: Request, name: str, values: dict[str, Any], status: int = 200) -> Response:
    answer = templates.TemplateResponse(request, name, values, status_code=status, headers=HEADERS)
    if TOAST_COOKIE in request.cookies:
        answer.delete_cookie(TOAST_COOKIE)
    return answer


# To the page that shows what a form has done; a form that must not act twice asks `Call.go`.
go = answers.go


def error_page(request: Request, status: int, message: str) -> Response:
    """One page per kind of failure; kinds without one of their own share `other.html`."""
    own = f"errors/{status}.html"
    name = own if (TEMPLATES / own).exists() else "errors/other.html"
    reference = str(getattr(request.state, "request_id", ""))
    return page(request, name, {"status": status, "told": message, "reference": reference}, status)


def shell(request: Request) -> dict[str, Any]:
    """What the frame of every page needs besides the page's own values."""
    return {
        "choices": chosen(request.cookies),
        "navigation": NAVIGATION,
        "here": request.url.path,
        "version": bundle_version(),
        "toast": unquote(request.cookies.get(TOAST_COOKIE, "")),
        "viewer": viewer(request),
        "is_admin": asking(request).scope == Scope.ADMIN,
        "may_build": asking(request).scope in (Scope.WRITE, Scope.ADMIN),
        "may_administer": asking(request).may_administer,
        "admin_message": banner.shown(request),
        "disk_word": banner.of_disk(request) if asking(request).scope == Scope.ADMIN else "",
        "proof": auth.proof_of(request),
        # Every drawing of a form is sent once, however often its button is pressed.
        "once": ids.new().hex,
    }


def viewer(request: Request) -> str:
    """Who is signed in, as pages show it; empty where anybody may read."""
    caller = asking(request)
    return caller.name if caller.scope is not None else ""


def asking(request: Request) -> Caller:
    caller: Caller = getattr(request.state, "caller", auth.ANONYMOUS)
    return caller


def chosen(cookies: dict[str, str]) -> dict[str, str]:
    """Only words we know get into the page."""
    told = {f"data-{kind}": cookies.get(f"changes_{kind}") for kind in CHOICES}
    return {key: word for key, word in told.items() if word in CHOICES[key.removeprefix("data-")]}


def bundle_version() -> str:
    """A part of the address of style and script, so that an upgrade is seen without a forced reload."""
    return BUNDLE_STAMP.read_text()[:12] if BUNDLE_STAMP.exists() else ""


def page_title(state: State | None, title: str) -> Markup:
    """The verdict comes first, where a narrow tab still shows it."""
    sign = f"{SIGNS.get(state.tone, SIGN_OTHERWISE)} " if state else ""
    product = "" if title == PRODUCT else f" · {PRODUCT}"
    # A block of a template is escaped already, a plain word is not; Markup tells them apart.
    return Markup("{}{}{}").format(sign, title, product)


@cache
def favicon(state: State | None = None) -> str:
    """The shape of the verdict as an address of its own; the brand's where there is none."""
    name, tone = (state.icon, state.tone) if state else ("mark", "brand")
    drawing = shapes()[name].replace("currentColor", TAB_COLOURS.get(tone, TAB_COLOUR_OTHERWISE))
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">{drawing}</svg>'
    return f"data:image/svg+xml,{quote(svg)}"


def shapes() -> dict[str, str]:
    """Name and inside of every symbol in the sprite."""
    drawn = templates.env.get_template("sprite.html").render()
    return dict(re.findall(r'<symbol id="icon-([a-z-]+)"[^>]*>(.*?)</symbol>', drawn))


def components(env: Environment) -> Iterator[tuple[str, Any]]:
    """Every macro of every component file, by its own name."""
    for path in sorted((TEMPLATES / COMPONENTS).glob("*.html")):
        module = env.get_template(f"{COMPONENTS}/{path.name}").module
        yield from ((name, macro) for name, macro in vars(module).items() if callable(macro))


def compiled() -> BytecodeCache | None:
    """As Python keeps its own: beside the source. To compile all components takes half of a start."""
    folder = TEMPLATES / "__pycache__"
    if sys.dont_write_bytecode or not os.access(folder if folder.exists() else TEMPLATES, os.W_OK):
        return None
    folder.mkdir(exist_ok=True)
    return FileSystemBytecodeCache(str(folder))


def environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        bytecode_cache=compiled(),
    )
    env.filters |= {name: getattr(phrasing, name) for name in FILTERS}
    env.globals |= {
        name: getattr(charts, name) for name in ("bars", "plot_width", "place", "ran_s", "shares", "top_of")
    }
    env.globals |= {
        "coloured": ansi.lines,
        "counted": phrasing.counted,
        "covered_line": links.covered_line,
        "favicon": favicon,
        "head": links.head,
        "now": clock.now,
        "page_title": page_title,
        "state_of": states.state_of,
        "verdict_of": states.verdict_of,
        "with_query": links.with_query,
    }
    env.globals["ui"] = SimpleNamespace(**dict(components(env)))
    return env


templates = Jinja2Templates(env=environment(), context_processors=[shell])
