"""What failures have in common, from what real runners print."""

import pytest

from changes.results import fingerprints


def part(text: str, tag: str = "failure") -> str:
    """As the formats write the parts of a message."""
    return f"{f' {tag} '.center(78, '=')}\n{text}"


def of(text: str) -> str:
    found = fingerprints.of(text)
    assert found is not None
    return found.fingerprint


def pytest_says(code: str = "assert shop.total() == 3", line: int = 12, got: int = 4) -> str:
    return part(
        f"""def test_pays():
        shop = Shop(connect())
>       {code}
E       assert {got} == 3
E        +  where {got} = total()

tests/test_shop.py:{line}: AssertionError"""
    )


def refused(test: str, port: int, line: int, python: str = "3.11") -> str:
    return part(
        f"""tests/test_shop.py:{line}: in {test}
    shop = Shop(connect())
src/shop/db.py:{line + 20}: in connect
    return psycopg.connect(url)
/usr/lib/python{python}/site-packages/psycopg/connection.py:117: in connect
    raise last_ex
E   psycopg.OperationalError: connection to server at "127.0.0.1", port {port} failed: Connection refused"""
    )


def traceback(folder: str, number: int, function: str = "go") -> str:
    return f"""Traceback (most recent call last):
  File "{folder}/tests/test_a.py", line {number}, in test_a
    go()
  File "{folder}/shop/go.py", line {number + 1}, in {function}
    raise ValueError("no user {number}")
ValueError: no user {number}"""


def java(user: int, line: int, root: str = "java.net.ConnectException: Connection refused") -> str:
    return part(
        f"""java.lang.IllegalStateException: no session for user {user}
\tat com.example.shop.Sessions.find(Sessions.java:{line})
\tat com.example.shop.CartTest.adds(CartTest.java:19)
\tat org.junit.platform.commons.util.ReflectionUtils.invokeMethod(ReflectionUtils.java:{line})
Caused by: {root}
\tat java.base/sun.nio.ch.Net.connect0(Native Method)
\t... 12 more"""
    )


def jest(line: int, code: str = "expect(cart.total()).toBe(3)", home: str = "/home/ci") -> str:
    return part(
        f"""Error: expect(received).toBe(expected) // Object.is equality

Expected: 3
Received: 4

> {line} |   {code}
    at Object.<anonymous> ({home}/w/src/cart.test.js:{line}:21)
    at Promise.then.completed ({home}/w/node_modules/jest-circus/build/utils.js:298:28)"""
    )


def go_panic(goroutine: int, address: str, line: int) -> str:
    return part(
        f"""panic: runtime error: index out of range [5] with length 3 [recovered]

goroutine {goroutine} [running]:
testing.tRunner.func1.2({{{address}, 0xc0000180a8}})
\t/usr/local/go/src/testing/testing.go:1545 +0x238
example.com/shop.(*Cart).At(...)
\t/home/ci/w/cart.go:{line}
example.com/shop.TestAt({address}?)
\t/home/ci/w/cart_test.go:30 +0x1d"""
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pytest_says(line=12), pytest_says(line=40, got=5)),
        (refused("test_a", 5432, 9), refused("test_b", 41233, 33, python="3.13")),
        (traceback("/tmp/pytest-1/a", 5), traceback("/builds/77/b", 18)),
        (java(42, 71), java(17, 90)),
        (jest(9), jest(31, home="/Users/zoe")),
        (go_panic(19, "0xc000007a00", 21), go_panic(7, "0xc0000089f0", 25)),
        (part("    cart_test.go:17: total = 4, want 3"), part("    cart_test.go:21: total = 5, want 3")),
        (
            "\x1b[31mError: gone\x1b[0m at 2026-01-02T03:04:05.678Z",
            "Error: gone at 2027-11-12T13:14:15Z",
        ),
        (
            "no 6fa459ea-ee8a-4ca4-894e-db77e160355e in /tmp/x1/data.json",
            "no 16fd2706-8baf-433b-82eb-8c7fada847da in /var/y2/z/data.json",
        ),
        ("<Shop object at 0x7f3a2c1d> broke", "<Shop object at 0x7fffffff> broke"),
        (part("boom") + "\n" + part("12:00 hello", "system-out"), part("boom")),
    ],
    ids=["pytest", "helper", "python", "java", "jest", "go", "go-test", "time", "ids", "hex", "output"],
)
def test_what_differs_each_time_is_no_difference(one: str, other: str) -> None:
    assert of(one) == of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pytest_says(), pytest_says(code="assert shop.open() == 3")),
        (traceback("/a/b", 5), traceback("/a/b", 5, function="stop")),
        (java(42, 71), java(42, 71, root="java.net.UnknownHostException: db")),
        (jest(9), jest(9, code="expect(cart.count()).toBe(3)")),
        (part("    cart_test.go:17: total = 4, want 3"), part("    cart_test.go:17: no total")),
    ],
    ids=["pytest", "python", "java", "jest", "go-test"],
)
def test_other_words_or_another_place_are_another_cause(one: str, other: str) -> None:
    assert of(one) != of(other)


@pytest.mark.parametrize(
    ("message", "headline"),
    [
        (pytest_says(), "assert 4 == 3"),
        (traceback("/a/b", 5), "ValueError: no user 5"),
        (java(1, 2), "java.net.ConnectException: Connection refused"),
        (jest(9), "Error: expect(received).toBe(expected) // Object.is equality"),
        (go_panic(1, "0xc0", 2), "panic: runtime error: index out of range [5] with length 3 [recovered]"),
        (
            part("thread 'a' panicked at src/cart.rs:20:9:\nassertion failed\nnote: run with `X=1`"),
            "assertion failed",
        ),
        (
            part("Assert.Equal() Failure\n   at Shop.Tests.Adds() in /w/CartTests.cs:line 14"),
            "Assert.Equal() Failure",
        ),
        (part("/home/ci/src/cart_test.cc:21\nValue of: x\n  Actual: 4"), "Value of: x"),
        (part("a\x00b\u202e"), "a b"),
        ("x" * 5000, "x" * 199 + "…"),
    ],
)
def test_the_headline_is_what_went_wrong(message: str, headline: str) -> None:
    found = fingerprints.of(message)

    assert found is not None
    assert found.headline == headline


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (traceback("/a/b", 5), "shop/go.py go"),
        (java(1, 2), "Sessions.java com.example.shop.Sessions.find"),
        ("it just failed", ""),
    ],
)
def test_the_place_is_the_innermost_in_the_code_of_the_project(message: str, place: str) -> None:
    found = fingerprints.of(message)

    assert found is not None
    assert found.place == place


@pytest.mark.parametrize("message", ["", "\n\n  \n", part("")])
def test_a_failure_that_says_nothing_has_nothing_in_common(message: str) -> None:
    assert fingerprints.of(message) is None


def test_a_hostile_message_is_read_as_any_other() -> None:
    """Each is of a kind that makes a careless pattern look for ever; the test would not end."""
    for piece in ("/a", "at (", "1:", "a.go:", " at a", "f0", "2020-01-01", "0x", "a/" * 100 + ".go:"):
        assert fingerprints.of(piece * (1_000_000 // len(piece))) is not None
