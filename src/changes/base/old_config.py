"""The configuration of Dropbox's Changes, `changes.conf.py`, read as text.

It is Python, and it is never run: only `NAME = literal` lines count. Whatever else stands in
it is named in a warning, so that nobody believes a line to work that does not.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

READ_AS = {
    "BASE_URI": "base_url",
    "WEB_BASE_URI": "base_url",
    "SQLALCHEMY_DATABASE_URI": "database_url",
    "SQLALCHEMY_POOL_SIZE": "database_pool_size",
    "CELERY_BROKER_URL": "broker_url",
    "CELERY_ALWAYS_EAGER": "celery_always_eager",
    "HTTP_PORT": "port",
    "SECRET_KEY": "secret_key",
    "GOOGLE_CLIENT_ID": "oidc_client_id",
    "GOOGLE_CLIENT_SECRET": "oidc_client_secret",
    "GOOGLE_DOMAIN": "oidc_domains",
    "REPO_ROOT": "repo_root",
    "DEFAULT_JOB_TIMEOUT_MIN": "default_job_timeout_min",
    "JOBSTEP_RETRY_MAX": "jobstep_retry_max",
    "JOBSTEP_MACHINE_RETRY_MAX": "jobstep_machine_retry_max",
    "JOBSTEP_ALLOCATION_TIMEOUT_SECONDS": "jobstep_allocation_timeout_s",
    "MAX_ARTIFACT_BYTES": "max_artifact_bytes",
    "TEST_MESSAGE_MAX_LEN": "test_message_max_len",
    "ANALYTICS_PROJECT_POST_URL": "analytics_project_post_url",
    "ANALYTICS_PROJECT_TABLES": "analytics_project_tables",
}

# The old program read these; docs/install/settings.md says what has become of each.
NOT_READ_NAMES = """
    SQLALCHEMY_MAX_OVERFLOW REDIS_URL DEBUG INTERNAL_BASE_URI PATCH_BASE_URI PREFERRED_URL_SCHEME
    SEND_FILE_MAX_AGE_DEFAULT GROUPER_API_URL GROUPER_PERMISSIONS_ADMIN GROUPER_PERMISSIONS_PROJECT_ADMIN
    GROUPER_EXCLUDED_ROLES PP_AUTH COOKIE_ENCRYPTION_KEY
    ARTIFACTS_SERVER MAX_ARTIFACT_BYTES_ANALYTICS_JSON DEFAULT_FILE_STORAGE S3_ACCESS_KEY S3_SECRET_KEY
    S3_BUCKET CACHED_SNAPSHOT_EXPIRATION_DELTA DEFAULT_SNAPSHOT SNAPSHOT_S3_BUCKET LXC_PRE_LAUNCH
    LXC_POST_LAUNCH LXC_TEMPLATE LXC_RELEASE LXC_APT_MIRROR LXC_APT_SECURITY_MIRROR CHANGES_CLIENT_BINARY
    CHANGES_CLIENT_DEFAULT_BUILD_TYPE CHANGES_CLIENT_BUILD_TYPES GIT_DEFAULT_BASE_URI
    MERCURIAL_DEFAULT_BASE_URI MAIL_DEFAULT_SENDER MAIL_DOMAIN_WHITELIST SUPPORT_CONTACT SENTRY_DSN
    CLIENT_SENTRY_DSN API_TRACEBACKS PHABRICATOR_LINK_HOST PHABRICATOR_API_HOST PHABRICATOR_TOKEN
    PHABRICATOR_USERNAME PHABRICATOR_CERT QUARANTINE_PHID ZOOKEEPER_HOSTS ZOOKEEPER_MESOS_MASTER_PATH
    STATSD_HOST STATSD_PORT STATSD_PREFIX ANALYTICS_POST_URL ANALYTICS_JOBSTEP_POST_URL
    CATEGORIZE_RULES_FILE BUILD_FINISHED_URLS
    WEBAPP_CUSTOM_JS WEBAPP_CUSTOM_CSS WEBAPP_USE_ANOTHER_HOST
    TRANSACTION_MS_WARNING_THRESHOLD MAX_SHOWN_ITEMS_PER_BUILD_MAIL MAX_SHOWN_ITEMS_PER_BUILD_PHABRICATOR
    BAZEL_APT_PKGS ENCAP_RSYNC_URL BAZEL_ARTIFACT_SUFFIX BAZEL_TEST_OUTPUT_RELATIVE_PATH BAZEL_ROOT_PATH
    BAZEL_MANDATORY_TEST_FLAGS DEFAULT_CLUSTER MAX_CPUS_PER_EXECUTOR MIN_MEM_MB_PER_EXECUTOR
    MAX_MEM_MB_PER_EXECUTOR MAX_EXECUTORS SELECTIVE_TESTING_ENABLED SELECTIVE_TESTING_PROPAGATION_LIMIT
    BAZEL_DEBUG_CONFIG BAZEL_EXTRA_SETUP_CMD KOALITY_URL KOALITY_API_KEY
"""
NOT_READ = frozenset(NOT_READ_NAMES.split())


class Unreadable(ValueError):
    """The text is not Python, so not one of its lines can be trusted."""


@dataclass(frozen=True)
class OldSetting:
    """One line that is still read, and the name of today's setting it fills."""

    key: str
    field: str
    value: object
    line: int


@dataclass(frozen=True)
class OldConfig:
    settings: tuple[OldSetting, ...]
    warnings: tuple[str, ...]


def parse(source: str) -> OldConfig:
    """Read the literal assignments; raise Unreadable when the text is no Python."""
    settings: list[OldSetting] = []
    warnings: list[str] = []
    for read in _read_statements(source):
        if isinstance(read, str):
            warnings.append(read)
        elif read.value is not None:  # None was the old program's way to say "not set".
            settings.append(read)
    return OldConfig(tuple(settings), tuple(warnings))


def _read_statements(source: str) -> Iterator[OldSetting | str]:
    for statement in _statements(source):
        if _is_remark(statement):
            continue
        names = _assigned_names(statement)
        if names is None:
            yield f"line {statement.lineno}: only `NAME = literal` is read; this line was not run"
            continue
        for name in names:
            yield _read_assignment(name, statement)


def _statements(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except SyntaxError as error:
        raise Unreadable(f"line {error.lineno}: {error.msg}") from None
    except ValueError as error:  # Python 3.11 says so of a NUL byte.
        raise Unreadable(str(error)) from None


def _is_remark(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _assigned_names(statement: ast.stmt) -> list[str] | None:
    if isinstance(statement, ast.AnnAssign):
        targets: list[ast.expr] = [statement.target]
    elif isinstance(statement, ast.Assign):
        targets = statement.targets
    else:
        return None
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    return names if len(names) == len(targets) else None


def _read_assignment(name: str, statement: ast.stmt) -> OldSetting | str:
    where = f"line {statement.lineno}: {name}"
    if name in NOT_READ:
        return f"{where} is no longer read; docs/install/settings.md says what took its place"
    if name not in READ_AS:
        return f"{where} is not a setting of Changes"
    value = getattr(statement, "value", None)
    try:
        literal = None if value is None else ast.literal_eval(value)
    except (ValueError, TypeError):
        return f"{where} is not a literal; its expression was not run and the setting was not read"
    return OldSetting(name, READ_AS[name], literal, statement.lineno)
