"""The command line's way to a server: which one, with which key, and what its errors mean."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from changes.app.cli.output import NOT_ALLOWED, NOT_REACHABLE, REFUSED, WRONG_USAGE, fail

LOGIN_FILE = Path("~/.config/changes/login.json")
UNAUTHORIZED, FORBIDDEN, BAD_REQUEST, NOT_FOUND = 401, 403, 400, 404
ERRORS_FROM = 400
# Of a path, what stands for itself; names in it that hold other signs were quoted before.
PLAIN = "/%:@!$&'()*+,;=~"
TIMEOUT = urllib3.Timeout(connect=5, read=120)
HASTY = urllib3.Retry(connect=2, read=0, status=0, backoff_factor=0.2)
# Some 60 s: whoever waits for a build also waits for a server that is started again meanwhile.
PATIENT = urllib3.Retry(
    total=None,
    connect=15,
    read=15,
    status=15,
    status_forcelist=(502, 503, 504),
    backoff_factor=0.2,
    backoff_max=5,
    raise_on_status=False,
)
# For what may be said twice: a POST, too, is sent again when its answer got lost.
INSISTENT = urllib3.Retry(
    total=None,
    connect=6,
    read=6,
    status=6,
    status_forcelist=(502, 503, 504),
    allowed_methods=None,
    backoff_factor=0.2,
    backoff_max=5,
    raise_on_status=False,
)
STREAM_TIMEOUT = urllib3.Timeout(connect=5, read=None)


@dataclass(frozen=True)
class Login:
    url: str
    token: str


def find_login() -> Login:
    """The environment, else `changes login`, else the system that runs on this home."""
    if url := os.environ.get("CHANGES_URL"):
        return Login(url.rstrip("/"), os.environ.get("CHANGES_TOKEN", ""))
    for path in (login_path(), home() / "cli.json"):
        login = read_login(path)
        if login is not None:
            return login
    return fail("No server is known: `changes login URL`, or set CHANGES_URL and CHANGES_TOKEN.", WRONG_USAGE)


def login_path() -> Path:
    return Path(os.environ.get("CHANGES_LOGIN", LOGIN_FILE)).expanduser()


def home() -> Path:
    if given := os.environ.get("CHANGES_HOME"):
        return Path(given).expanduser()
    return Path("/var/lib/changes") if os.geteuid() == 0 else Path("~/.changes").expanduser()


def read_login(path: Path) -> Login | None:
    try:
        data = json.loads(path.read_text())
        return Login(str(data["url"]).rstrip("/"), str(data["token"]))
    except (FileNotFoundError, PermissionError):
        return None
    except (ValueError, KeyError):
        fail(f"{path} is damaged; remove it and `changes login` again.", WRONG_USAGE)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    @property
    def is_refusal(self) -> bool:
        return self.status >= ERRORS_FROM or self.is_of_another

    @property
    def is_of_another(self) -> bool:
        """A page to sign in, perhaps, of what stands before the server, or in its place."""
        try:
            json.loads(self.body or b"null")
        except ValueError:
            return self.status < ERRORS_FROM
        return False

    @property
    def data(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def error(self) -> str:
        """The server's own sentence, or what can be said without one."""
        if self.is_of_another:
            return "What answers there is no server of Changes."
        try:
            return str(json.loads(self.body)["error"])
        except (ValueError, KeyError, TypeError):
            return f"the server answered {self.status}"


class Server:
    def __init__(self, login: Login, retries: urllib3.Retry = HASTY) -> None:
        self.login = login
        self.pool = urllib3.PoolManager(retries=retries)

    def get(self, path: str, **query: object) -> Any:
        return self.ask(
            "GET", path, query={name: value for name, value in query.items() if value is not None}
        )

    def post(self, path: str, fields: dict[str, object] | None = None, *, key: str = "") -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        form = [(name, each) for name, value in (fields or {}).items() for each in as_fields(value)]
        return self.ask("POST", path, form=form, headers=headers)

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Any = None,
        form: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        try:
            response = self.pool.request(
                method,
                self.address(path, query),
                fields=form,
                headers={**self.headers(), **(headers or {})},
                timeout=TIMEOUT,
            )
        except urllib3.exceptions.HTTPError as error:
            unreachable(self.login.url, error)
        refuse(response.status, response.data)
        return Answer(response.status, response.data).data

    def send(self, method: str, path: str, body: object, headers: dict[str, str], **query: object) -> Answer:
        """For whoever goes on whatever comes of it: raises urllib3's HTTPError where nobody answers."""
        response = self.pool.request(
            method,
            self.address(path, query),
            body=body,  # type: ignore[arg-type]
            headers={**self.headers(), **headers},
            timeout=TIMEOUT,
        )
        return Answer(response.status, response.data)

    def get_or_none(self, path: str) -> Any:
        """None where there is no such thing."""
        try:
            answer = self.send("GET", path, None, {})
        except urllib3.exceptions.HTTPError as error:
            unreachable(self.login.url, error)
        if answer.status == NOT_FOUND:
            return None
        refuse(answer.status, answer.body)
        return answer.data

    def stream(self, path: str, **query: object) -> Iterator[bytes]:
        try:
            response = self.pool.request(
                "GET",
                self.address(path, query),
                headers=self.headers(),
                timeout=STREAM_TIMEOUT,
                preload_content=False,
            )
            if response.status >= ERRORS_FROM:
                refuse(response.status, response.read())
            yield from response.stream(65536)
        except urllib3.exceptions.HTTPError as error:
            unreachable(self.login.url, error)

    def address(self, path: str, query: Any) -> str:
        asked = f"?{urlencode(query, doseq=True)}" if query else ""
        # As it was typed: #12 is no part of a page, and nothing behind ? is a parameter.
        return f"{self.login.url}/api/0{quote(path, safe=PLAIN)}{asked}"

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.login.token}"} if self.login.token else {}


def as_fields(value: object) -> list[str | tuple[str, bytes]]:
    """Each of a list is a field of its own; bytes travel as a file, so that nobody guesses their encoding."""
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [("file", each) if isinstance(each, bytes) else str(each) for each in values]


def unreachable(url: str, error: Exception) -> Any:
    reason = getattr(error, "reason", None) or error
    fail(f"{url} does not answer ({type(reason).__name__}). Does the server run?", NOT_REACHABLE)


def refuse(status: int, body: bytes) -> None:
    answer = Answer(status, body)
    if not answer.is_refusal:
        return
    if answer.is_of_another:
        fail(answer.error, NOT_REACHABLE)
    text = answer.error
    if status == UNAUTHORIZED:
        text += " Set CHANGES_TOKEN, or run `changes login`."
    codes = {
        UNAUTHORIZED: NOT_ALLOWED,
        FORBIDDEN: NOT_ALLOWED,
        BAD_REQUEST: WRONG_USAGE,
        NOT_FOUND: WRONG_USAGE,
    }
    fail(text, codes.get(status, REFUSED))


def connect() -> Server:
    return Server(find_login())
