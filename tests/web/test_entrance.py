"""Where a sign-in may lead: to a page of ours, whatever the address said."""

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from changes.web import entrance

HOME = "https://changes.example.com/auth/login/"
AWKWARD = st.text(alphabet="/\\:@.?#%\t\n\r \0ahtpsx-evil", max_size=30)


def as_a_browser_reads(where: str) -> str:
    """What has been used to get out: browsers drop white space, and take a backslash for a slash."""
    stripped = "".join(c for c in where.strip("".join(map(chr, range(33)))) if c not in "\t\n\r")
    return stripped.replace("\\", "/")


@given(st.one_of(st.text(max_size=60), AWKWARD, AWKWARD.map("/{}".format), AWKWARD.map("//{}".format)))
@example("//evil.example")
@example("/\\evil.example")
@example("\\/evil.example")
@example("/\t/evil.example")
@example("https:evil.example")
@example("javascript:alert(1)")
@example("///evil.example")
@example("/%0d%0aSet-Cookie:x")
@example("/auth/logout/")
def test_no_address_leads_away_from_here(wanted: str) -> None:
    where = as_a_browser_reads(entrance.landing(wanted))

    parts = urlsplit(urljoin(HOME, where))
    assert (parts.scheme, parts.netloc) == ("https", "changes.example.com")
    assert where.startswith("/")
    assert not where.startswith(("//", "/auth/"))


@pytest.mark.parametrize(
    "wanted",
    ["/", "/projects/web/?result=failed&query=a%20b", "/builds/1/#L12", "/projects/münchen/", "/a//b"],
)
def test_a_path_of_ours_is_kept_whole(wanted: str) -> None:
    assert entrance.landing(wanted) == wanted


@pytest.mark.parametrize(
    "wanted", [None, "", "projects/", "/" + "x" * 2001, "/\u2028", "/a b", "/auth/link/x/"]
)
def test_everything_else_becomes_the_first_page(wanted: str | None) -> None:
    assert entrance.landing(wanted) == "/"
