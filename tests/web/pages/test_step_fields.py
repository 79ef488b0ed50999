"""A step as fields of a form, and back."""

from typing import Any

import pytest

from changes.builds.recipes import DEFAULT_IMPLEMENTATION
from changes.web.pages import step_fields


@pytest.mark.parametrize(
    "data",
    [
        {"commands": ["make"]},
        {"commands": ["cd a\nmake", {"script": "make lint"}], "timeout": 5, "path": "a/b"},
        {"commands": ["make"], "env": {"A": "1", "B": ""}, "artifacts": ["a", "**/b"], "cluster": "large"},
    ],
)
def test_what_fields_can_say_comes_back_as_it_was(data: dict[str, Any]) -> None:
    fields = step_fields.from_data(DEFAULT_IMPLEMENTATION, data)

    assert fields is not None
    again = step_fields.to_data(fields, data)
    assert step_fields.from_data(DEFAULT_IMPLEMENTATION, again) == fields


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"commands": []},
        {"commands": ["first\n\nsecond"]},
        {"commands": [{"script": "make", "label": "Build"}]},
        {"commands": [{"script": "make", "type": "teardown"}]},
        {"commands": ["make"], "env": {"A": "two\nlines"}},
        {"commands": ["make"], "env": {"a-b": "1"}},
        {"commands": "make"},
    ],
)
def test_what_fields_cannot_say_is_left_to_json(data: dict[str, Any]) -> None:
    assert step_fields.from_data(DEFAULT_IMPLEMENTATION, data) is None
