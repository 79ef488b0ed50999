import pytest
from starlette.datastructures import URL

from changes.web.pages import links


@pytest.mark.parametrize(
    ("address", "href", "direction"),
    [
        ("/builds/?result=failed", "/builds/?result=failed&sort=time", ""),
        ("/builds/?sort=time", "/builds/?sort=-time", "ascending"),
        ("/builds/?sort=-time&after=x", "/builds/?sort=time", "descending"),
        ("/builds/?sort=name", "/builds/?sort=time", ""),
    ],
)
def test_a_head_sorts_and_keeps_what_was_asked(address: str, href: str, direction: str) -> None:
    head = links.head("Time", key="time", url=URL(address))

    assert (head.href, head.sorted) == (href, direction)


def test_an_address_changes_only_what_is_named() -> None:
    url = URL("http://changes.test/builds/?result=failed&after=x")

    assert links.with_query(url, after=None, result="passed") == "/builds/?result=passed"
    assert links.with_query(url, after=None, result=None) == "/builds/"
