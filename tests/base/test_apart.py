import pytest

from changes.base import apart


def test_what_goes_wrong_with_one_keeps_no_other_waiting_and_is_told() -> None:
    done: list[str] = []

    def fail() -> None:
        raise ValueError("poisoned")

    with pytest.raises(ValueError, match="poisoned"):
        apart.do_each([lambda: done.append("first"), fail, lambda: done.append("last")])

    assert done == ["first", "last"]
