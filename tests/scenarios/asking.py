"""Asks a running system as any program would: by its API, with a token."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

WITHIN_S = 400.0
# Not longer: what changes between two questions is seen by the next one only.
HELD_S = 1
SERVICE_UNAVAILABLE = 503


class Refused(Exception):
    """The server answered with an error; `answer` is its JSON."""

    def __init__(self, status: int, answer: dict[str, Any]) -> None:
        super().__init__(f"{status}: {answer['error']}")
        self.status = status
        self.answer = answer


class Api:
    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        self._http = httpx.Client(
            base_url=f"{url}/api/0",
            headers={"Authorization": f"Bearer {token}"},
            timeout=120,
            trust_env=False,
            # A server that is killed so often must find no connection of ours kept from before.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def get(self, path: str, **query: Any) -> Any:
        return _checked(self._http.get(path, params=query))

    def post(self, path: str, headers: dict[str, str] | None = None, **fields: Any) -> Any:
        return _checked(self._http.post(path, json=fields, headers=headers))

    def bytes_of(self, path: str, **query: Any) -> bytes:
        answer = self._http.get(path, params=query)
        if answer.is_error:
            _checked(answer)
        return answer.content

    def pieces_of(self, path: str, **query: Any) -> Iterator[bytes]:
        """For what is too long to be held at once."""
        with self._http.stream("GET", path, params=query) as answer:
            answer.raise_for_status()
            yield from answer.iter_bytes()

    @property
    def answers(self) -> bool:
        """The server is up and its database too."""
        with contextlib.suppress(httpx.TransportError, Refused):
            self.get("/projects/")
            return True
        return False

    def build(self, project: str, **fields: Any) -> str:
        """Asks for one build and returns its id."""
        (made,) = self.post("/builds/", **{"project": project, "sha": "HEAD", **fields})
        return str(made["id"])

    def finished(self, build_id: str, within_s: float = WITHIN_S) -> dict[str, Any]:
        """Waits for the end of a build, across restarts of the server."""
        return self.when(build_id, lambda build: build["status"]["id"] == "finished", within_s)

    def when(
        self, build_id: str, is_so: Callable[[dict[str, Any]], object], within_s: float = WITHIN_S
    ) -> dict[str, Any]:
        ends_at = time.monotonic() + within_s
        wait_s, seen = 0.0, {}
        while True:
            try:
                seen = self.get(f"/builds/{build_id}/", wait_s=wait_s)
            except (httpx.TransportError, Refused) as error:
                if isinstance(error, Refused) and error.status != SERVICE_UNAVAILABLE:
                    raise
                time.sleep(0.05)  # it is being started again, and answers nobody meanwhile
            if seen and is_so(seen):
                return seen
            left_s = ends_at - time.monotonic()
            assert left_s > 0, f"not within {within_s} s: {seen}"
            wait_s = min(left_s, HELD_S)

    def attempts(self, build_id: str) -> list[dict[str, Any]]:
        """All job steps of a build in the order they were made, those that were replaced too."""
        jobs = self.get(f"/builds/{build_id}/")["jobs"]
        phases = [phase for job in jobs for phase in self.get(f"/jobs/{job['id']}/phases/")]
        return sorted((step for phase in phases for step in phase["steps"]), key=lambda step: step["id"])

    def log(self, step_id: str) -> bytes:
        """What was written so far; nothing, when nothing was."""
        try:
            return self.bytes_of(f"/jobsteps/{step_id}/logs/console/", raw=1, offset=0)
        except Refused as error:
            if error.status == httpx.codes.NOT_FOUND:
                return b""
            raise


def _checked(answer: httpx.Response) -> Any:
    if answer.is_error:
        raise Refused(answer.status_code, answer.json())
    return answer.json() if answer.content else None
