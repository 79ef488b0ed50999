import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base.paging import Page, part
from changes.people import users
from changes.people.models import Author

ALL = select(Author).order_by(Author.email)


@pytest.fixture(autouse=True)
def five_authors(session: Session) -> None:
    for letter in "abcde":
        users.author(session, letter, f"{letter}@example.com")


@pytest.mark.parametrize(
    ("page", "names", "has_next"),
    [
        (Page(1, 2), "ab", True),
        (Page(2, 2), "cd", True),
        (Page(3, 2), "e", False),
        (Page(4, 2), "", False),
        (Page(1, 5), "abcde", False),
        (Page(), "abcde", False),
    ],
)
def test_a_page_knows_its_rows_and_whether_there_is_another(
    session: Session, page: Page, names: str, *, has_next: bool
) -> None:
    found = part(session, ALL, page)

    assert "".join(author.name for author in found.rows) == names
    assert found.has_next == has_next
