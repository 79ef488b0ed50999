"""What an operator may set, read once at the start.

The environment wins over `changes.toml`, that over an old `changes.conf.py`, that over the
defaults. Whatever is wrong is said in one error, all of it at once, in plain words.
"""

import difflib
import functools
import logging
import os
import re
import secrets
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError

from changes.base import old_config, sign_in_settings
from changes.base.keep_settings import KeepSettings
from changes.base.sign_in_settings import Network
from changes.base.whole_number import Count, Positive, WholeNumber

log = logging.getLogger(__name__)

SYSTEM_HOME = Path("/var/lib/changes")
CONFIG_FILE, CONFIG_VARIABLE = "changes.toml", "CHANGES_CONFIG"
OLD_CONFIG_FILE, OLD_CONFIG_VARIABLE = "changes.conf.py", "CHANGES_CONF"
SECRET_KEY_MIN_CHARS, VALUE_SHOWN_MAX_CHARS = 16, 80

TRUE, FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})
POSTGRESQL_SCHEMES = ("postgresql+psycopg", "postgresql", "postgres", "postgresql+psycopg2")
BROKER_SCHEMES = ("redis", "rediss", "redis+socket", "sentinel", "amqp", "amqps")
BLOB_SCHEMES = ("file", "s3")


class InvalidSettings(ValueError):
    """The settings cannot be used; the text names each fault and what is allowed instead."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n  ".join(["These settings cannot be used:", *problems]))
        self.problems = problems


def parse_switch(value: object) -> bool:
    word = str(value).strip().lower()
    if word not in TRUE | FALSE:
        raise ValueError("must be 1, true, yes or on; or 0, false, no or off")
    return word in TRUE


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ValueError("must be the path of a folder")
    return _whole_path(str(value))


def _whole_path(text: str) -> Path:
    # Path.expanduser would also look up "~name", and fail where there is no such user.
    return (Path.home() / text[2:] if text.startswith("~/") else Path(text)).absolute()


def _require_scheme(url: str, schemes: tuple[str, ...]) -> str:
    scheme, separator, rest = url.partition("://")
    if scheme not in schemes or not separator or not rest:
        raise ValueError("must begin with " + " or ".join(f"{name}://" for name in schemes))
    return rest


def _postgresql_url(url: str) -> str:
    # The name of the driver is our business, not the operator's.
    return f"postgresql+psycopg://{_require_scheme(url, POSTGRESQL_SCHEMES)}"


def _broker_url(url: str) -> str:
    _require_scheme(url, BROKER_SCHEMES)
    return url


def _blob_url(url: str) -> str:
    rest = _require_scheme(url, BLOB_SCHEMES)
    if url.startswith("file:") and not rest.startswith("/"):
        raise ValueError("must name a whole path after file://, as in file:///srv/changes/blobs")
    return url.rstrip("/")


def _base_url(url: str) -> str:
    if {"?", "#"} & set(_web_address(url)):
        raise ValueError("must be an address people open, as in https://changes.example.com")
    return url.rstrip("/")


def _web_address(url: str) -> str:
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise ValueError("must be a web address, as in https://changes.example.com")
    return url


def _user_and_password(said: str) -> str:
    if ":" not in said:
        raise ValueError("must be a user and a password with a colon between")
    return said


def _mail_address(address: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", address):
        raise ValueError("must be a mail address, as in olga@example.com")
    return address


def _long_enough(key: str) -> str:
    if len(key) < SECRET_KEY_MIN_CHARS:
        raise ValueError(f"must have at least {SECRET_KEY_MIN_CHARS} characters")
    return key


def _words(value: object) -> object:
    """Text with commas between, or a list."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _default_base_url(values: dict[str, Any]) -> str:
    host = values["host"]
    return f"http://{f'[{host}]' if ':' in host else host}:{values['port']}"


def _default_provider_name(values: dict[str, Any]) -> str:
    return sign_in_settings.provider_name(values.get("oidc_issuer", ""))


def _default_log_format() -> Literal["json", "console"]:
    return "console" if sys.stderr.isatty() else "json"


Folder = Annotated[Path, BeforeValidator(_path)]
Switch = Annotated[bool, BeforeValidator(parse_switch)]
Port = Annotated[int, BeforeValidator(WholeNumber(1, 65535))]


class Settings(KeepSettings):
    """Every setting; a field kept out of `repr` may hold a secret and is never shown."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    home: Folder
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 5000
    base_url: Annotated[str, AfterValidator(_base_url)] = Field(default_factory=_default_base_url)

    database_url: Annotated[str, AfterValidator(_postgresql_url)] | None = Field(None, repr=False)
    database_pool_size: Positive = 10
    broker_url: Annotated[str, AfterValidator(_broker_url)] | None = Field(None, repr=False)
    celery_always_eager: Switch = False
    worker_concurrency: Positive = 4
    blob_url: Annotated[str, AfterValidator(_blob_url)] = Field(
        default_factory=lambda values: (values["home"] / "blobs").as_uri(), repr=False
    )
    repo_root: Folder = Field(default_factory=lambda values: values["home"] / "repositories")

    secret_key: Annotated[str, AfterValidator(_long_enough)] | None = Field(None, repr=False)
    anonymous_read: Switch = False
    admin_email: Annotated[str, AfterValidator(_mail_address)] = "admin@localhost"

    oidc_issuer: Annotated[str, AfterValidator(sign_in_settings.check_issuer)] = sign_in_settings.GOOGLE
    oidc_client_id: str | None = None
    oidc_client_secret: str | None = Field(None, repr=False)
    oidc_name: Annotated[str, Field(min_length=1, max_length=40)] = Field(
        default_factory=_default_provider_name
    )
    oidc_domains: Annotated[tuple[str, ...], BeforeValidator(sign_in_settings.parse_domains)] = ()
    trusted_proxy_header: Annotated[str, AfterValidator(sign_in_settings.check_header_name)] | None = None
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(sign_in_settings.parse_networks)] = ()

    log_format: Annotated[Literal["json", "console"], BeforeValidator(_lower)] = Field(
        default_factory=_default_log_format
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "info"

    repository_poll_s: Positive = 20
    landing_trailers: Annotated[tuple[str, ...], BeforeValidator(_words)] = (
        "Change-Id",
        "Differential Revision",
    )
    default_job_timeout_min: Positive = 60
    jobstep_retry_max: Count = 6
    jobstep_machine_retry_max: Count = 2
    jobstep_allocation_timeout_s: Positive = 180
    node_silence_max_s: Positive = 60
    node_quarantine_after: Count = 3
    node_quarantine_s: Positive = 600
    agent_key_max_days: Count = 90
    outside_silence_max_min: Positive = 360
    original_client: str = "changes-client"
    max_artifact_bytes: Annotated[int, BeforeValidator(WholeNumber(1, 2**40))] = 200 * 1024 * 1024
    green_build_url: Annotated[str, AfterValidator(_web_address)] | None = None
    green_build_auth: Annotated[str, AfterValidator(_user_and_password)] | None = Field(None, repr=False)
    analytics_project_post_url: Annotated[str, AfterValidator(_web_address)] | None = None
    analytics_project_tables: Annotated[tuple[str, ...], BeforeValidator(_words)] = ()
    test_runs_keep_months: Annotated[int, BeforeValidator(WholeNumber(0, 1200))] = 24
    test_message_max_len: Annotated[int, BeforeValidator(WholeNumber(1024))] = 65536


# The first name that is set wins. Any other field is called by its own name in capitals.
ENVIRONMENT_NAMES = {
    "home": ("CHANGES_HOME",),
    "base_url": ("BASE_URL", "WEB_BASE_URI"),
    "broker_url": ("BROKER_URL", "CELERY_BROKER_URL"),
    "oidc_client_id": ("OIDC_CLIENT_ID", "GOOGLE_CLIENT_ID"),
    "oidc_client_secret": ("OIDC_CLIENT_SECRET", "GOOGLE_CLIENT_SECRET"),
    "oidc_domains": ("OIDC_DOMAINS", "GOOGLE_DOMAIN"),
    "jobstep_allocation_timeout_s": ("JOBSTEP_ALLOCATION_TIMEOUT_SECONDS",),
    "original_client": ("CHANGES_CLIENT_BINARY",),
}


@dataclass(frozen=True)
class Given:
    """A raw value and where the operator can find it."""

    value: object
    where: str


@dataclass(frozen=True)
class Loaded:
    settings: Settings
    warnings: tuple[str, ...]


def load(env: Mapping[str, str] = os.environ) -> Settings:
    """The settings in force; lines of an old configuration that mean nothing are logged."""
    loaded = read(env)
    for warning in loaded.warnings:
        log.warning(warning)
    return loaded.settings


def read(env: Mapping[str, str]) -> Loaded:
    """Like load, but hands the warnings over instead of logging them."""
    home = _default_home(env)
    problems: list[str] = []
    old, warnings = _given_in_old_config(env, problems)
    given = {
        "home": Given(str(home), "CHANGES_HOME"),
        **old,
        **_given_in_config(env, home, problems),
        **dict(_given_in_environment(env)),
    }
    return Loaded(_validate(given, problems), warnings)


def environment_names(field: str) -> tuple[str, ...]:
    return ENVIRONMENT_NAMES.get(field, (field.upper(),))


def documented_names() -> list[str]:
    """Every variable of the environment that is read; each must stand in docs/install/settings.md."""
    names = [name for field in Settings.model_fields for name in environment_names(field)]
    return [CONFIG_VARIABLE, OLD_CONFIG_VARIABLE, *names]


def secret_key(settings: Settings) -> str:
    """The key that signs what leaves the server; made once where none is set."""
    if settings.secret_key is not None:
        return settings.secret_key
    return _key_of(settings.home / "secret_key")


@functools.cache
def _key_of(path: Path) -> str:
    """Read once: each token of a step is made with it."""
    if not path.exists():
        _write_new_key(path)
    return path.read_text().strip()


def _write_new_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp gives mode 0600. A link appears whole or not at all, so of several
    # processes starting together one wins and none reads half a key.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".secret_key-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
        with suppress(FileExistsError):
            path.hardlink_to(temporary)
    finally:
        Path(temporary).unlink()


def _default_home(env: Mapping[str, str]) -> Path:
    if env.get("CHANGES_HOME"):
        return _whole_path(env["CHANGES_HOME"])
    return SYSTEM_HOME if os.geteuid() == 0 else _user_home(env) / ".changes"


def _user_home(env: Mapping[str, str]) -> Path:
    return Path(env["HOME"]) if env.get("HOME") else Path.home()


def _given_in_environment(env: Mapping[str, str]) -> Iterator[tuple[str, Given]]:
    for field in Settings.model_fields:
        for name in environment_names(field):
            # `DATABASE_URL=` is how compose files and unit files say "not set".
            if env.get(name):
                yield field, Given(env[name], name)
                break


def _given_in_config(env: Mapping[str, str], home: Path, problems: list[str]) -> dict[str, Given]:
    path, text = _read_file(env.get(CONFIG_VARIABLE), home / CONFIG_FILE, problems)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path}: {error}")
        return {}
    problems.extend(_unknown_key(path, key) for key in values if key not in Settings.model_fields)
    return {
        key: Given(value, f"{key} in {path}") for key, value in values.items() if key in Settings.model_fields
    }


def _unknown_key(path: Path, key: str) -> str:
    nearest = difflib.get_close_matches(key.lower(), Settings.model_fields, n=1)
    hint = f"; did you mean `{nearest[0]}`?" if nearest else "; docs/install/settings.md lists them all"
    return f"{path}: there is no setting `{key}`{hint}"


def _given_in_old_config(
    env: Mapping[str, str], problems: list[str]
) -> tuple[dict[str, Given], tuple[str, ...]]:
    default_path = _user_home(env) / ".changes" / OLD_CONFIG_FILE
    path, text = _read_file(env.get(OLD_CONFIG_VARIABLE), default_path, problems)
    try:
        old = old_config.parse(text)
    except old_config.Unreadable as error:
        problems.append(f"{path}, {error}")
        return {}, ()
    given = {
        setting.field: Given(setting.value, f"{setting.key} in {path}, line {setting.line}")
        for setting in old.settings
    }
    return given, tuple(f"{path}, {warning}" for warning in old.warnings)


def _read_file(named: str | None, default_path: Path, problems: list[str]) -> tuple[Path, str]:
    """A file somebody named must be there; the one in the usual place may be missing."""
    path = _whole_path(named) if named else default_path
    try:
        return path, path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if named:
            problems.append(f"{path}: {error.strerror}")
    except OSError as error:
        problems.append(f"{path}: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"{path}: the file is not UTF-8 text")
    except ValueError:
        problems.append(f"{path!r}: no path has a NUL character")
    return path, ""


def _validate(given: Mapping[str, Given], problems: list[str]) -> Settings:
    try:
        settings = Settings.model_validate({field: entry.value for field, entry in given.items()})
    except ValidationError as error:
        problems = problems + [_problem(given, fault) for fault in error.errors() if fault["loc"][0] in given]
        raise InvalidSettings(problems) from None
    if problems:
        raise InvalidSettings(problems)
    return settings


def _problem(given: Mapping[str, Given], fault: Any) -> str:
    field = str(fault["loc"][0])
    entry = given[field]
    reason = fault.get("ctx", {}).get("error") or fault["msg"].replace("Input should", "must")
    is_secret = not Settings.model_fields[field].repr
    value = "(hidden)" if is_secret else repr(entry.value)[:VALUE_SHOWN_MAX_CHARS]
    return f"{entry.where} = {value}: {reason}"
