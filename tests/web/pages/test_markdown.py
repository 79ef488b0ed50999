"""Markdown of other people becomes harmless HTML."""

import pytest

from changes.web.pages import markdown

FILES = {"shots/a b.png": "/artifacts/1/raw/", "out/report.html": "/artifacts/2/"}


def drawn(text: str) -> str:
    return str(markdown.drawn(text, FILES)).strip()


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**a** ~~b~~ `c<`", "<p><strong>a</strong> <s>b</s> <code>c&lt;</code></p>"),
        ("# One", '<h3 class="md-h1">One</h3>'),
        ("###### Six", '<h3 class="md-h6">Six</h3>'),
        ("<b onclick=x>a</b>", "<p>&lt;b onclick=x&gt;a&lt;/b&gt;</p>"),
        ("<div>\n\n<script>", "<p>&lt;div&gt;</p>\n<p>&lt;script&gt;</p>"),
        ("![b](shots/a%20b.png)", '<p><img src="/artifacts/1/raw/" alt="b" loading="lazy"></p>'),
        ("![b](http://x.y/z.png)", '<p><span class="md-missing">[picture: b]</span></p>'),
        ("![b](../../etc/passwd)", '<p><span class="md-missing">[picture: b]</span></p>'),
        ("[b](/auth/logout/)", "<p><span>b</span></p>"),
        ("[b](//x.y/)", "<p><span>b</span></p>"),
        ("[b](javascript:x)", "<p>[b](javascript:x)</p>"),
        ("```js onload=x\n<a>\n```", '<pre tabindex="0"><code>&lt;a&gt;\n</code></pre>'),
        ("a\u202eb", "<p>a[U+202E]b</p>"),
        ("- [no] box", "<ul>\n<li>[no] box</li>\n</ul>"),
        ("- [ ]", "<ul>\n<li>[ ]</li>\n</ul>"),
    ],
)
def test_only_structure_comes_out(text: str, html: str) -> None:
    assert drawn(text) == html


def test_links_lead_to_the_web_or_to_files_of_the_step() -> None:
    rel = 'rel="nofollow noopener noreferrer"'

    assert drawn("[a](https://x.y/?a=1&b=2)") == f'<p><a href="https://x.y/?a=1&amp;b=2" {rel}>a</a></p>'
    assert drawn("[a](./out/report.html)") == f'<p><a href="/artifacts/2/" {rel}>a</a></p>'


def test_tables_scroll_in_their_own_box_and_carry_no_style() -> None:
    html = drawn("|a|b|\n|:-:|-:|\n|1|2|")

    assert '<div class="md-table" role="group"' in html
    assert '<td class="md-center">1</td>\n<td class="md-right">2</td>' in html
    assert "style=" not in html


def test_items_of_a_list_may_be_tasks_that_are_done_or_not() -> None:
    html = drawn("- [x] *built*\n- [ ] signed\n\n1. [X] <b>shipped</b>")

    box = '<li class="md-task"><span class="md-box" role="img" aria-label="{}">{}</span> {}</li>'
    assert box.format("done", "\N{BALLOT BOX WITH CHECK}", "<em>built</em>") in html
    assert box.format("not done", "\N{BALLOT BOX}", "signed") in html
    assert box.format("done", "\N{BALLOT BOX WITH CHECK}", "&lt;b&gt;shipped&lt;/b&gt;") in html


@pytest.mark.parametrize(
    "hostile", ["[" * 50_000, "*a " * 30_000, "> " * 9_000, "`" * 99_999, "|a" * 50_000, "- [x] " * 9_000]
)
def test_what_is_nested_deeply_is_text(hostile: str) -> None:
    assert "<script" not in drawn(hostile)
