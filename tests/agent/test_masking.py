"""Secrets are hidden in whatever form they leave the agent, and nothing else is."""

import base64
import json
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.agent.masking import MASK, Masker, masked

SECRET = "pa$$ w/rd'+\"é\\42"
TEXT = st.text(min_size=8, max_size=40).filter(lambda text: len(text.strip().encode("utf-8", "replace")) >= 8)


def through(masker: Masker, *pieces: bytes) -> bytes:
    return b"".join([*(masker.mask(piece) for piece in pieces), masker.rest()])


FORMS: dict[str, Callable[[str], bytes]] = {
    "plain": lambda secret: secret.encode(),
    "base64": lambda secret: base64.b64encode(secret.encode()),
    "base64 after one byte": lambda secret: base64.b64encode(b":" + secret.encode()),
    "base64 after two bytes": lambda secret: base64.b64encode(b"u:" + secret.encode() + b"\n"),
    "base64 for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()),
    "hexadecimal": lambda secret: secret.encode().hex().encode(),
    "large hexadecimal": lambda secret: secret.encode().hex().upper().encode(),
    "URL": lambda secret: quote(secret, safe="").encode(),
    "path of an URL": lambda secret: quote(secret).encode(),
    "form of a page": lambda secret: quote_plus(secret).encode(),
    "JSON": lambda secret: json.dumps(secret).encode(),
    "JSON as it is written": lambda secret: json.dumps(secret, ensure_ascii=False).encode(),
    "quoted for a shell": lambda secret: shlex.quote(secret).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_hidden_in_every_form(form: str) -> None:
    shown = FORMS[form](SECRET)

    said = through(Masker([SECRET]), b"it is " + shown + b", really")

    assert MASK in said
    assert said.startswith(b"it is ")
    assert said.endswith(b", really")
    # Of base64 and of quotes an end may stay that says nothing.
    assert len(said) < len(b"it is , really") + len(MASK) + 8


@given(secret=TEXT, form=st.sampled_from(sorted(FORMS)), size=st.integers(1, 9))
def test_it_is_hidden_wherever_reads_end(secret: str, form: str, size: int) -> None:
    secret = secret.encode("utf-8", "replace").decode()
    text = b"before " + FORMS[form](secret) + b" after"

    said = through(Masker([secret]), *(text[at : at + size] for at in range(0, len(text), size)))

    assert secret.encode() not in said


@given(text=st.binary(max_size=200), size=st.integers(1, 9))
def test_what_is_no_secret_passes_unchanged(text: bytes, size: int) -> None:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]

    assert through(Masker(["swordfish-of-the-sea"]), *pieces) == text


def test_the_lines_of_a_key_are_hidden_one_by_one() -> None:
    lines = ["-----BEGIN KEY-----", "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU", "AAAEBm9uZQAAAAAAAAABAAAAMwAAAAtzc2g"]

    said = through(Masker(["\n".join(lines)]), lines[2].encode() + b" then " + lines[1].encode())

    assert said == b"*** then ***"


def test_base64_that_a_tool_broke_into_lines_is_hidden() -> None:
    secret = "0123456789abcdef" * 12
    broken = base64.encodebytes(secret.encode())

    said = through(Masker([secret]), broken)

    assert not any(line in said for line in broken.splitlines() if len(line) > 8)


def test_the_beginning_of_a_secret_at_the_end_is_hidden() -> None:
    assert through(Masker(["swordfish-of-the-sea"]), b"it is swordfish-of") == b"it is ***"


def test_a_prompt_that_cannot_be_a_secret_is_shown_at_once() -> None:
    assert Masker(["swordfish-of-the-sea"]).mask(b"Password: ") == b"Password: "


def test_a_secret_inside_of_another_hides_no_less_of_that() -> None:
    assert through(Masker(["swordfish", "xx-swordfish-yy"]), b"a xx-swor", b"dfish-yy b") == b"a *** b"


def test_a_text_that_is_whole_is_masked_as_one() -> None:
    assert masked("no swordfish here", ["swordfish"]) == "no *** here"
