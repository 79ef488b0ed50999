"""A real OpenID provider in a process of its own, and what a browser does between it and us."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from starlette.testclient import TestClient

START_WITHIN_S = 120


@dataclass(frozen=True)
class Provider:
    """`issuer` is its address."""

    issuer: str

    def knows(self, sub: str, **claims: Any) -> None:
        httpx.put(f"{self.issuer}/users/{sub}", json=claims, trust_env=False).raise_for_status()

    def consents(self, address: str, sub: str) -> str:
        """The person there says yes; where that leads the browser."""
        return self.answers(address, {"sub": sub})

    def denies(self, address: str) -> str:
        return self.answers(address, {"action": "deny"})

    def answers(self, address: str, said: dict[str, str]) -> str:
        assert httpx.get(address, trust_env=False).status_code == 200
        answer = httpx.post(address, data=said, trust_env=False)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running_provider() -> Iterator[Provider]:
    port = free_port()
    # Its own libraries warn of each other.
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "NO_COLOR": "1"}) as process:
        try:
            provider = Provider(f"http://127.0.0.1:{port}")
            wait_for(provider, process)
            yield provider
        finally:
            process.terminate()
            process.communicate(timeout=START_WITHIN_S)


def wait_for(provider: Provider, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "the provider did not start"
        try:
            httpx.get(f"{provider.issuer}/.well-known/openid-configuration", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the provider did not answer")


def path_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}"


def said_in(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def problem_on(page: str) -> str:
    """The words of the notice on the sign-in page."""
    [told] = re.findall(r'role="alert">.*?<div>(.*?)</div>', page, re.DOTALL)
    return str(told).replace("&#39;", "'").strip()


def leaves(visitor: TestClient, where: str = "/") -> str:
    answer = visitor.get("/auth/provider/", params={"next": where})
    assert answer.status_code == 303, problem_on(answer.text)
    return str(answer.headers["Location"])
