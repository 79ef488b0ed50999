"""Where settings come from, which source wins, and what a wrong one is told."""

import logging
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.base import old_config, settings

DOCUMENT = Path(__file__).parents[2] / "docs/install/settings.md"
PASSWORD = "correct-horse"


def an_environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(tmp_path), "CHANGES_HOME": str(tmp_path / "changes"), **more}


def write_config(tmp_path: Path, text: str) -> None:
    (tmp_path / "changes").mkdir(exist_ok=True)
    (tmp_path / "changes" / "changes.toml").write_text(text)


def write_old_config(tmp_path: Path, text: str) -> None:
    (tmp_path / ".changes").mkdir(exist_ok=True)
    (tmp_path / ".changes" / "changes.conf.py").write_text(text)


def problems(env: dict[str, str]) -> list[str]:
    with pytest.raises(settings.InvalidSettings) as refusal:
        settings.load(env)
    return refusal.value.problems


def test_nothing_set_gives_one_machine_with_all_it_needs(tmp_path: Path) -> None:
    loaded = settings.load(an_environment(tmp_path))

    assert (loaded.database_url, loaded.broker_url) == (None, None)
    assert loaded.base_url == "http://127.0.0.1:5000"
    assert loaded.blob_url == (tmp_path / "changes/blobs").as_uri()
    assert loaded.repo_root == tmp_path / "changes/repositories"
    assert not loaded.anonymous_read


def test_loading_writes_nothing(tmp_path: Path) -> None:
    settings.load(an_environment(tmp_path))

    assert list(tmp_path.iterdir()) == []


def test_the_home_of_a_user_is_in_their_own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    assert settings.load({"HOME": str(tmp_path)}).home == tmp_path / ".changes"


def test_the_home_of_root_is_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)

    assert settings.load({"HOME": str(tmp_path)}).home == Path("/var/lib/changes")


def test_the_environment_wins_over_the_file_and_that_over_the_old_one(tmp_path: Path) -> None:
    write_old_config(tmp_path, "HTTP_PORT = 1\nJOBSTEP_RETRY_MAX = 1\nDEFAULT_JOB_TIMEOUT_MIN = 1\n")
    write_config(tmp_path, "port = 2\njobstep_retry_max = 2\n")

    loaded = settings.load(an_environment(tmp_path, PORT="3"))

    assert (loaded.port, loaded.jobstep_retry_max, loaded.default_job_timeout_min) == (3, 2, 1)


def test_files_may_be_anywhere_when_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("port = 7001\n")
    (tmp_path / "b.py").write_text("MAX_ARTIFACT_BYTES = 5\n")

    loaded = settings.load(
        an_environment(tmp_path, CHANGES_CONFIG=str(tmp_path / "a.toml"), CHANGES_CONF=str(tmp_path / "b.py"))
    )

    assert (loaded.port, loaded.max_artifact_bytes) == (7001, 5)


@pytest.mark.parametrize("variable", ["CHANGES_CONFIG", "CHANGES_CONF"])
def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path, variable: str) -> None:
    [problem] = problems(an_environment(tmp_path, **{variable: str(tmp_path / "gone")}))

    assert problem == f"{tmp_path / 'gone'}: No such file or directory"


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    loaded = settings.load(an_environment(tmp_path, DATABASE_URL="", PORT=""))

    assert (loaded.database_url, loaded.port) == (None, 5000)


def test_old_names_of_variables_are_read_and_new_ones_win(tmp_path: Path) -> None:
    old = {"WEB_BASE_URI": "https://old.example.com/", "CELERY_BROKER_URL": "redis://old/0"}

    only_old = settings.load(an_environment(tmp_path, **old))
    both = settings.load(an_environment(tmp_path, BASE_URL="https://new.example.com", **old))

    assert (only_old.base_url, only_old.broker_url) == ("https://old.example.com", "redis://old/0")
    assert both.base_url == "https://new.example.com"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_way_to_write_a_postgresql_url_means_our_driver(tmp_path: Path, scheme: str) -> None:
    loaded = settings.load(an_environment(tmp_path, DATABASE_URL=f"{scheme}://u@db/changes"))

    assert loaded.database_url == "postgresql+psycopg://u@db/changes"


@pytest.mark.parametrize(
    ("word", "value"),
    [("1", True), ("Yes", True), ("ON", True), ("true", True), ("0", False), ("off", False)],
)
def test_switches_are_words(tmp_path: Path, word: str, value: bool) -> None:  # noqa: FBT001  (pytest passes it)
    assert settings.load(an_environment(tmp_path, ANONYMOUS_READ=word)).anonymous_read is value


def test_a_switch_that_is_no_such_word_is_refused(tmp_path: Path) -> None:
    [problem] = problems(an_environment(tmp_path, ANONYMOUS_READ="maybe"))

    assert problem == "ANONYMOUS_READ = 'maybe': must be 1, true, yes or on; or 0, false, no or off"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PORT", "99999", "must be a whole number from 1 to 65535"),
        ("PORT", "http", "must be a whole number from 1 to 65535"),
        ("DATABASE_POOL_SIZE", "0", "must be a whole number from 1 to"),
        ("LOG_FORMAT", "xml", "must be 'json' or 'console'"),
        ("LOG_LEVEL", "loud", "must be 'debug', 'info', 'warning' or 'error'"),
        ("BASE_URL", "changes.example.com", "as in https://changes.example.com"),
        ("ADMIN_EMAIL", "olga", "must be a mail address"),
    ],
)
def test_a_wrong_value_is_shown_with_what_is_allowed(
    tmp_path: Path, name: str, value: str, allowed: str
) -> None:
    [problem] = problems(an_environment(tmp_path, **{name: value}))

    assert problem.startswith(f"{name} = '{value}': ")
    assert allowed in problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", f"mysql://olga:{PASSWORD}@db/changes"),
        ("BROKER_URL", f"kafka://olga:{PASSWORD}@mq"),
        ("BLOB_URL", f"ftp://olga:{PASSWORD}@files"),
        ("SECRET_KEY", PASSWORD),
    ],
)
def test_a_wrong_secret_is_named_and_not_shown(tmp_path: Path, name: str, value: str) -> None:
    env = an_environment(tmp_path, **{name: value})

    [problem] = problems(env)

    assert problem.startswith(f"{name} = (hidden): must ")
    assert PASSWORD not in problem


def test_no_secret_is_in_the_picture_of_the_settings(tmp_path: Path) -> None:
    loaded = settings.load(
        an_environment(
            tmp_path,
            DATABASE_URL=f"postgresql://olga:{PASSWORD}@db/changes",
            BROKER_URL=f"redis://:{PASSWORD}@mq/0",
            SECRET_KEY=PASSWORD * 3,
        )
    )

    assert PASSWORD not in f"{loaded!r} {loaded!s}"


def test_all_faults_are_told_at_once_with_their_place(tmp_path: Path) -> None:
    write_config(tmp_path, "databse_url = 'postgresql:///x'\nworker_concurrency = true\n")
    write_old_config(tmp_path, "\nJOBSTEP_RETRY_MAX = -1\n")

    told = "\n".join(problems(an_environment(tmp_path, PORT="0")))

    assert "there is no setting `databse_url`; did you mean `database_url`?" in told
    assert f"worker_concurrency in {tmp_path / 'changes/changes.toml'} = True: must be a whole number" in told
    assert "JOBSTEP_RETRY_MAX in" in told
    assert "line 2 = -1: must be a whole number from 0" in told
    assert "PORT = '0'" in told


def test_a_key_like_no_other_is_refused_without_a_guess(tmp_path: Path) -> None:
    write_config(tmp_path, "zebra = 1\n")

    [problem] = problems(an_environment(tmp_path))

    assert problem.endswith("there is no setting `zebra`; docs/install/settings.md lists them all")


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    write_config(tmp_path, "port = 1\nhost = \n")

    [problem] = problems(an_environment(tmp_path))

    assert "changes.toml" in problem
    assert "line 2" in problem


def test_an_old_file_for_python_2_is_refused_rather_than_half_read(tmp_path: Path) -> None:
    write_old_config(tmp_path, "HTTP_PORT = 5001\nprint 'hello'\n")

    [problem] = problems(an_environment(tmp_path))

    assert "changes.conf.py, line 2" in problem


def test_lines_of_an_old_file_that_mean_nothing_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_old_config(tmp_path, "ZOOKEEPER_HOSTS = 'zk'\n")

    with caplog.at_level(logging.WARNING):
        settings.load(an_environment(tmp_path))

    assert "line 1: ZOOKEEPER_HOSTS is no longer read" in caplog.text


def test_settings_do_not_change(tmp_path: Path) -> None:
    loaded = settings.load(an_environment(tmp_path))

    with pytest.raises(ValueError, match="frozen"):
        loaded.port = 1  # type: ignore[misc]  # that it cannot be set is the point


def test_an_ipv6_host_makes_a_usable_address(tmp_path: Path) -> None:
    assert settings.load(an_environment(tmp_path, HOST="::1")).base_url == "http://[::1]:5000"


def test_the_secret_key_is_made_once_for_the_owners_eyes(tmp_path: Path) -> None:
    loaded = settings.load(an_environment(tmp_path))

    key = settings.secret_key(loaded)

    assert len(key) >= 32
    assert settings.secret_key(loaded) == key
    assert stat.S_IMODE((loaded.home / "secret_key").stat().st_mode) == 0o600


def test_processes_that_start_together_agree_on_the_secret_key(tmp_path: Path) -> None:
    loaded = settings.load(an_environment(tmp_path))

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: settings.secret_key(loaded), range(32)))

    assert len(keys) == 1
    assert [path.name for path in loaded.home.iterdir()] == ["secret_key"]


def test_a_secret_key_that_is_set_is_used_and_not_written(tmp_path: Path) -> None:
    loaded = settings.load(an_environment(tmp_path, SECRET_KEY="k" * 32))

    assert settings.secret_key(loaded) == "k" * 32
    assert not loaded.home.exists()


def test_every_old_name_fills_a_setting_that_exists() -> None:
    assert set(old_config.READ_AS.values()) <= set(settings.Settings.model_fields)


def test_every_setting_of_today_and_of_the_past_is_documented() -> None:
    document = DOCUMENT.read_text()
    names = {
        *settings.documented_names(),
        *settings.Settings.model_fields,
        *old_config.READ_AS,
        *old_config.NOT_READ,
    }

    assert [name for name in sorted(names) if f"`{name}`" not in document] == []


@given(st.dictionaries(st.sampled_from(settings.documented_names()[2:]), st.text(max_size=30), max_size=4))
def test_any_environment_gives_settings_or_one_named_error(env: dict[str, str]) -> None:
    with suppress(settings.InvalidSettings):
        settings.load({"HOME": "/nowhere", "CHANGES_HOME": "/nowhere", **env})
