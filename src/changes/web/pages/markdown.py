"""Markdown of other people as HTML: nothing in it is taken for HTML, runs, or fetches from elsewhere.

Its pictures are files of the build, whose addresses the caller knows; links lead to the web or to such a
file. All headings are of one level, so that those of the page around it stay in order.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

from changes.web.pages import unseen

TEXT_MAX_CHARS = 200_000
HEADING = 3
FILES = "files"
TASK = "task"
BOX = re.compile(r"\[([ xX])\]\s+")
WEB = ("http", "https", "mailto")
ALIGNED = {"text-align:right": "md-right", "text-align:center": "md-center", "text-align:left": "md-left"}
# Pages are looked at again and again, and what a build says changes seldom.
KEPT = 64


def drawn(text: str, files: Mapping[str, str] | None = None) -> Markup:
    """`files` are the addresses of the files that it may show or link to, by their names."""
    shown = text[:TEXT_MAX_CHARS]
    return kept(shown, tuple(sorted((files or {}).items())))


@lru_cache(maxsize=KEPT)
def kept(text: str, files: tuple[tuple[str, str], ...]) -> Markup:
    # What turns text around, or is not seen at all, is shown as what it is.
    told = unseen.UNSEEN.sub(lambda odd: f"[{unseen.name(odd)}]", text.replace("\r\n", "\n"))
    # Everything in it was escaped on the way; that is what the renderer below is for.
    return Markup(parser().render(told, {FILES: dict(files)}))  # noqa: S704 -- see above


@lru_cache(maxsize=1)
def parser() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False, "xhtmlOut": False}, renderer_cls=Careful)
    made.core.ruler.push("tasks", mark_tasks)
    return made.enable(["table", "strikethrough"])


def mark_tasks(state: StateCore) -> None:
    """An item of a list that begins with `[ ]` or `[x]` is a task, as the forges have it."""
    for item, paragraph, said in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        if (item.type, paragraph.type) != ("list_item_open", "paragraph_open") or not said.children:
            continue
        first = said.children[0]
        box = BOX.match(first.content) if first.type == "text" else None
        if box is not None:
            first.content = first.content[box.end() :]
            item.meta[TASK] = True
            said.children.insert(0, Token(TASK, "", 0, meta={TASK: box[1] != " "}))


def address_of(url: str, files: Mapping[str, str]) -> str | None:
    """Where a link may lead: to the web, or to a file of the build; None for anywhere else."""
    name = unquote(url).removeprefix("artifact:").removeprefix("./")
    if name in files:
        return files[name]
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    is_whole = bool(parts.netloc) or parts.scheme == "mailto"
    return url if parts.scheme in WEB and is_whole and url.isprintable() else None


class Careful(RendererHTML):
    """Writes only what is said here or is plain structure; attributes come from nowhere else."""

    def link_open(self, tokens: Sequence[Token], idx: int, _options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        href = address_of(str(token.attrs.get("href", "")), env[FILES])
        if href is None:
            return "<span>"
        return f'<a href="{escapeHtml(href)}" rel="nofollow noopener noreferrer">'

    def link_close(self, tokens: Sequence[Token], idx: int, _options: OptionsDict, env: EnvType) -> str:
        opened = tokens[opening(tokens, idx)]
        return "</span>" if address_of(str(opened.attrs.get("href", "")), env[FILES]) is None else "</a>"

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """One that lies elsewhere would tell that place who looks at this, so only its words are shown."""
        token = tokens[idx]
        alt = escapeHtml(self.renderInlineAsText(token.children, options, env) if token.children else "")
        name = unquote(str(token.attrs.get("src", ""))).removeprefix("artifact:").removeprefix("./")
        address = env[FILES].get(name)
        if address is None:
            return f'<span class="md-missing">[picture{": " + alt if alt else ""}]</span>'
        return f'<img src="{escapeHtml(address)}" alt="{alt or escapeHtml(name)}" loading="lazy">'

    def heading_open(self, tokens: Sequence[Token], idx: int, _options: OptionsDict, _env: EnvType) -> str:
        return f'<h{HEADING} class="md-{tokens[idx].tag}">'

    def heading_close(self, _tokens: Sequence[Token], _idx: int, _options: OptionsDict, _env: EnvType) -> str:
        return f"</h{HEADING}>\n"

    def list_item_open(self, tokens: Sequence[Token], idx: int, _options: OptionsDict, _env: EnvType) -> str:
        return '<li class="md-task">' if TASK in tokens[idx].meta else "<li>"

    def task(self, tokens: Sequence[Token], idx: int, _options: OptionsDict, _env: EnvType) -> str:
        is_done = tokens[idx].meta[TASK]
        sign, word = ("\N{BALLOT BOX WITH CHECK}", "done") if is_done else ("\N{BALLOT BOX}", "not done")
        return f'<span class="md-box" role="img" aria-label="{word}">{sign}</span> '

    def fence(self, tokens: Sequence[Token], idx: int, _options: OptionsDict, _env: EnvType) -> str:
        return f'<pre tabindex="0"><code>{escapeHtml(tokens[idx].content)}</code></pre>\n'

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return self.fence(tokens, idx, options, env)

    def table_open(self, _tokens: Sequence[Token], _idx: int, _options: OptionsDict, _env: EnvType) -> str:
        return '<div class="md-table" role="group" aria-label="Table" tabindex="0"><table>\n'

    def table_close(self, _tokens: Sequence[Token], _idx: int, _options: OptionsDict, _env: EnvType) -> str:
        return "</table></div>\n"

    @staticmethod
    def renderAttrs(token: Token) -> str:  # noqa: N802 -- the name is that of the library
        """A list may begin with another number, a cell of a table may lean to a side; nothing else."""
        found: dict[str, Any] = token.attrs
        aligned = ALIGNED.get(str(found.get("style", "")))
        start = found.get("start")
        said = f' class="{aligned}"' if aligned else ""
        return f'{said} start="{start}"' if isinstance(start, int) else said


def opening(tokens: Sequence[Token], idx: int) -> int:
    """Of the link that is closed here. Links do not stand within links."""
    return next(place for place in range(idx, -1, -1) if tokens[place].type == "link_open")
