import pytest

from changes.base import process, secrets
from changes.base.settings import Settings

pytestmark = pytest.mark.usefixtures("settings")


def test_what_was_sealed_opens_for_the_same_purpose() -> None:
    sealed = secrets.seal("hunter2 \N{KEY}", "repository:1")

    assert secrets.unseal(sealed, "repository:1") == "hunter2 \N{KEY}"


def test_nothing_of_it_can_be_read_and_no_two_look_alike() -> None:
    first, second = secrets.seal("hunter2", "a"), secrets.seal("hunter2", "a")

    assert b"hunter2" not in first
    assert first != second


def test_moved_to_another_owner_it_does_not_open() -> None:
    sealed = secrets.seal("hunter2", "repository:1")

    with pytest.raises(secrets.Unreadable):
        secrets.unseal(sealed, "repository:2")


@pytest.mark.parametrize("damaged", [b"", b"\x01", b"\x02" * 40, b"\x01" * 40])
def test_damaged_bytes_are_refused_with_what_to_do(damaged: bytes) -> None:
    with pytest.raises(secrets.Unreadable, match="Enter it anew"):
        secrets.unseal(damaged, "repository:1")


def test_another_key_does_not_open_it(settings: Settings) -> None:
    sealed = secrets.seal("hunter2", "repository:1")

    process.settings.set(settings.model_copy(update={"secret_key": "quite another key"}))

    with pytest.raises(secrets.Unreadable):
        secrets.unseal(sealed, "repository:1")
