"""An old `changes.conf.py` is read as text; nothing of it is ever run."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.base import old_config


def values(source: str) -> dict[str, object]:
    return {setting.field: setting.value for setting in old_config.parse(source).settings}


def warnings(source: str) -> tuple[str, ...]:
    return old_config.parse(source).warnings


def test_literal_assignments_fill_todays_settings() -> None:
    source = (
        '"""Our Changes."""\n'
        "SQLALCHEMY_DATABASE_URI = 'postgresql:///changes'\n"
        "HTTP_PORT: int = 5050\n"
        "BASE_URI = WEB_BASE_URI = 'https://changes.example.com'\n"
        "CELERY_ALWAYS_EAGER = False\n"
    )

    assert values(source) == {
        "database_url": "postgresql:///changes",
        "port": 5050,
        "base_url": "https://changes.example.com",
        "celery_always_eager": False,
    }
    assert warnings(source) == ()


def test_every_setting_knows_its_line() -> None:
    [setting] = old_config.parse("\n\nREPO_ROOT = '/srv/repos'\n").settings

    assert (setting.key, setting.field, setting.line) == ("REPO_ROOT", "repo_root", 3)


def test_nothing_is_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    source = f"import pathlib\npathlib.Path({str(trace)!r}).touch()\nREPO_ROOT = pathlib.Path('/').touch()\n"

    old_config.parse(source)

    assert not trace.exists()


def test_lines_that_do_something_are_named_in_warnings() -> None:
    source = "import os\nif os.environ:\n    HTTP_PORT = 1\n"

    assert [warning.partition(":")[0] for warning in warnings(source)] == ["line 1", "line 2"]
    assert values(source) == {}


def test_an_expression_is_not_read_and_said_so() -> None:
    [warning] = warnings("REPO_ROOT = os.path.join('/srv', 'repos')\n")

    assert warning.startswith("line 1: REPO_ROOT is not a literal")


def test_an_unknown_name_is_a_warning() -> None:
    assert warnings("HTTP_PROT = 1\n") == ("line 1: HTTP_PROT is not a setting of Changes",)


def test_a_setting_of_the_past_is_told_from_an_unknown_one() -> None:
    [warning] = warnings("ZOOKEEPER_HOSTS = 'zk:2181'\n")

    assert "no longer read" in warning
    assert "docs/install/settings.md" in warning


def test_no_warning_shows_a_value() -> None:
    source = "PHABRICATOR_TOKEN = 'hunter2'\nMY_PASSWORD = 'hunter2'\nSECRET_KEY = f'hunter2'\n"

    assert len(warnings(source)) == 3
    assert "hunter2" not in " ".join(warnings(source))


def test_none_means_not_set() -> None:
    assert values("REPO_ROOT = None\n") == {}


@pytest.mark.parametrize("source", ["print 'Python 2'\n", "HTTP_PORT = 0777\n", "A = '\x00'\n"])
def test_what_is_no_python_of_today_is_refused(source: str) -> None:
    with pytest.raises(old_config.Unreadable):
        old_config.parse(source)


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(source: str) -> None:
    with suppress(old_config.Unreadable):
        old_config.parse(source)
