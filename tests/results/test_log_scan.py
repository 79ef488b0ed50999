"""What is found in logs; most of them were printed by the tools themselves."""

from pathlib import Path

import pytest

from changes.projects.log_lines import LogLine
from changes.results import log_errors, log_scan
from changes.results.log_error_models import Severity
from changes.results.log_patterns import CAUSE, OUTCOME, Pattern
from changes.results.log_scan import KeptLine, Scanner

CORPUS = Path(__file__).parent / "corpus_of_logs"
# The file, the line that says most, what knew it, and how it begins.
TELLING = [
    ("apt", 4, "apt", "E: Unable to locate package"),
    ("bash", 1, "command not found", "bash: line 1: foo_bar_baz: command not found"),
    ("cargo_build", 2, "rustc", "error[E0308]: mismatched types"),
    ("cargo_test", 13, "Rust panic", "thread 't::adds'"),
    ("cmake", 7, "CMake", "CMake Error at CMakeLists.txt:3"),
    ("ctest", 3, "ctest", "1/2 Test #1: bad"),
    ("curl", 1, "network", "curl: (7) Failed to connect"),
    ("gcc", 2, "compiler", "x.c:2:23: error: expected"),
    ("git", 2, "git", "fatal: unable to access"),
    ("go_build", 2, "go", "./main.go:3:26: cannot use"),
    ("go_panic", 1, "Go panic", "panic: runtime error: index out of range"),
    ("go_test", 1, "go test", "--- FAIL: TestAdd"),
    ("hg", 1, "hg", "abort: repository /nope-x not found"),
    ("java", 4, "exception", "Caused by: java.lang.NullPointerException"),
    ("javac", 1, "compiler", "A.java:1: error: incompatible types"),
    ("make", 1, "make", "make: *** No rule to make target 'a.c'"),
    ("make_gcc", 3, "compiler", "a.c:2:23: error: expected"),
    ("maven", 21, "Maven", "[ERROR] Failed to execute goal"),
    ("mypy", 1, "compiler", "m.py:2: error: Incompatible return value"),
    ("ninja", 6, "compiler", "/home/ci/work/x.c:2:23: error: expected"),
    ("node", 5, "exception", "TypeError: nope"),
    ("node_test", 3, "TAP", "not ok 1 - adds"),
    ("npm", 2, "npm", "npm error Missing script"),
    ("php", 2, "syntax", "PHP Fatal error:  Uncaught Error"),
    ("pip", 2, "pip", "ERROR: Could not find a version"),
    ("podman", 2, "containers", "Error: initializing source"),
    ("pytest_coloured", 38, "pytest", "FAILED test_x.py::test_a - assert 1 == 2"),
    ("python_chained", 3, "Python", "ZeroDivisionError: division by zero"),
    ("python_syntax", 4, "syntax", "SyntaxError: invalid syntax"),
    ("rust_panic", 5, "Rust panic", "thread 'main'"),
    ("sanitizer", 1, "sanitizer", "seg.c:3:60: runtime error: store to null pointer"),
    ("segfault", 1, "crash", "bash: line 1:"),
    ("ssh", 1, "network", "ssh: connect to host 127.0.0.1 port 1: Connection refused"),
    ("unittest", 9, "Python", "AssertionError: 1 != 3"),
]
# By those whose words are well known; not all of these tools are here to be asked.
KNOWN_LINES = Path(__file__).parent / "known_lines.txt"
LINES = [line.partition("\t")[::2] for line in KNOWN_LINES.read_text().splitlines()]
HARMLESS = [
    "0 errors, 0 warnings",
    "Build finished with no errors",
    "Tests run: 12, Failures: 0, Errors: 0, Skipped: 1",
    "=== 3 passed, 0 failed in 0.1s ===",
    "[12/99] Building CXX object src/error_handler.cc.o",
    "Compiling error_handler.py",
    "gcc -Wall -Werror -Werror=format-security -c errors.c -o errors.o",
    "+ test -f failed.txt",
    "$ ./check --fail-on-error",
    "tests/test_errors.py::test_failure_is_told PASSED [ 10%]",
    "test error::tests::handles_failure ... ok",
    "  ✓ handles errors (3 ms)",
    "ok 3 - reports a failure",
    "--- PASS: TestError (0.00s)",
    "make: [Makefile:3: clean] Error 1 (ignored)",
    "warning: unused variable: `error`",
    "WARNING: could not read the cache, retrying",
    "2026-11-21 10:00:00,123 INFO app: failed logins: 0",
    "[exit code 2 after 0.52 s]",
    "raise_on_error=True",
    "error: 0 in all",
    "$ echo 'a.c:41:5: error: no such thing'",
    "++ echo 'panic: no'",
    "Downloading error-stack-parser-2.1.4.tgz",
    "    at errorHandler (/srv/app.js:3:5)",
]


def best(kept: list[KeptLine]) -> KeptLine:
    return max(kept, key=lambda each: each.found.pattern.rank)


def told(text: str, *own: Pattern) -> list[tuple[int, str]]:
    return [(each.found.line, each.found.text) for each in log_scan.scan([text.encode()], own)]


@pytest.mark.parametrize(("name", "line", "pattern", "begins"), TELLING, ids=[each[0] for each in TELLING])
def test_the_line_that_says_most_is_found(name: str, line: int, pattern: str, begins: str) -> None:
    found = best(log_scan.scan([(CORPUS / f"{name}.txt").read_bytes()])).found

    assert (found.line, found.pattern.name) == (line, pattern)
    assert found.text.startswith(begins)


def test_all_logs_of_the_corpus_are_asked_for() -> None:
    assert {path.stem for path in CORPUS.iterdir()} == {each[0] for each in TELLING}


@pytest.mark.parametrize(("pattern", "line"), LINES)
def test_a_line_is_known_by_the_tool_that_says_it(pattern: str, line: str) -> None:
    [kept] = log_scan.scan([line.encode()])

    assert kept.found.pattern.name == pattern


@pytest.mark.parametrize("line", HARMLESS)
def test_words_that_mean_nothing_bad_are_left_alone(line: str) -> None:
    assert told(line) == []


def test_what_only_follows_counts_least() -> None:
    kept = log_scan.scan([b"a.c:1:1: error: no\nmake: *** [Makefile:3: a.o] Error 1\n"])

    assert [each.found.pattern.name for each in kept] == ["compiler", "make"]
    assert best(kept).found.line == 1


def test_a_traceback_is_told_by_its_last_line() -> None:
    text = (
        'begin\nTraceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\nsome.Odd: no\nend\n'
    )

    [kept] = log_scan.scan([text.encode()])

    assert (kept.found.begins, kept.found.line, kept.found.text) == (2, 5, "some.Odd: no")


def test_a_traceback_behind_the_name_of_its_service_is_told_by_its_last_line() -> None:
    lines = [
        "Traceback (most recent call last):",
        '  File "a.py", line 1',
        "    g()",
        "Odd: no",
        "on it goes",
    ]

    [kept] = log_scan.scan(["".join(f"web_1 | {line}\n" for line in lines).encode()])

    assert (kept.found.begins, kept.found.line, kept.found.text) == (1, 4, "Odd: no")


def test_a_traceback_without_an_end_is_told_by_where_it_begins() -> None:
    text = "Traceback (most recent call last):\n" + '  File "a.py", line 1, in f\n' * 5000

    [kept] = log_scan.scan([text.encode()])

    assert (kept.found.begins, kept.found.line) == (1, 1)


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_it_does_not_matter_how_a_log_is_cut(size: int) -> None:
    text = b"".join((CORPUS / f"{name}.txt").read_bytes() for name, *_ in TELLING)

    pieces = [text[at : at + size] for at in range(0, len(text), size)]

    assert log_scan.scan(pieces) == log_scan.scan([text])


def test_colours_and_lines_that_were_written_over_stand_in_nobodys_way() -> None:
    text = "\x1b[1m\x1b[31merror[E0308]\x1b[0m: no\r\n 10%\r 100%\rpanic: at the end\n"

    assert told(text) == [(1, "error[E0308]: no"), (2, "panic: at the end")]


def test_lines_that_differ_only_in_numbers_are_one() -> None:
    [kept] = log_scan.scan(["".join(f"a.c:{line}:1: error: no\n" for line in range(5, 9)).encode()])

    assert (kept.found.text, kept.times) == ("a.c:5:1: error: no", 4)


def test_of_very_many_those_are_kept_that_say_most_from_both_ends() -> None:
    many = "".join(
        f"ERROR {chr(97 + at % 26)}{chr(97 + at // 26 % 26)}{chr(97 + at // 676)}\n" for at in range(2000)
    )

    kept = log_scan.scan([f"{many[:9000]}a.c:1:1: error: no\n{many[9000:]}".encode()])

    lines = [each.found.line for each in kept]
    assert len(kept) == log_scan.LINES_KEPT
    assert best(kept).found.text == "a.c:1:1: error: no"
    assert (min(lines), max(lines)) == (1, 2001)


def test_a_line_without_an_end_costs_no_memory_and_hides_no_other() -> None:
    scanner = Scanner(log_scan.engine(), 64 * 1024 * 1024)
    for _ in range(64):
        scanner.feed(b"x" * 1024 * 1024)
    scanner.feed(b"\npanic: here\n")
    scanner.finish()

    assert [each.found.line for each in scanner.kept()] == [2]


def test_of_a_log_that_says_nothing_but_errors_the_middle_is_only_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_scan, "CANDIDATES_MAX", 10)
    monkeypatch.setattr(log_scan, "TAIL_BYTES", 1000)
    text = b"ERROR here\n" * 500 + b"ERROR there\n" * 2000 + b"panic: at the end\n"
    scanner = Scanner(log_scan.engine(), len(text))
    for at in range(0, len(text), 100):
        scanner.feed(text[at : at + 100])
    scanner.finish()

    assert best(scanner.kept()).found.line == 2501
    assert scanner.skipped_bytes > len(text) - 3000


def test_a_project_has_patterns_of_its_own() -> None:
    mine = log_errors.own(LogLine("^FlexLM .* denied", "licence", "fatal"))

    [kept] = log_scan.scan([b"FlexLM 11: denied\n"], (mine,))

    assert (kept.found.pattern.name, kept.found.pattern.severity) == ("licence", Severity.FATAL)
    assert kept.found.pattern.rank > CAUSE


def test_a_project_may_say_which_lines_tell_of_nothing() -> None:
    ignored = log_errors.own(LogLine("telemetry", severity="ignore"))

    assert told("ERROR: telemetry is off\nERROR: no\n", ignored) == [(2, "ERROR: no")]


def test_what_failed_within_an_image_says_more_than_that_it_could_not_be_built() -> None:
    kept = log_scan.scan(
        [
            b"#9 28.1 E: Failed to fetch http://deb.example/a.deb\n",
            b'ERROR: failed to solve: process "/bin/sh -c make" did not complete: exit code: 2\n',
        ]
    )

    assert [(each.found.line, each.found.text[:9]) for each in kept] == [(1, "E: Failed"), (2, "ERROR: fa")]
    assert kept[0].found.pattern.rank > OUTCOME == kept[1].found.pattern.rank


def test_what_a_line_is_called_moves_no_terminal_and_turns_no_text_around() -> None:
    [kept] = log_scan.scan(["panic: \x1b]0;mine \u202eevil\u200b\ufeff\x9b2J end\n".encode()])

    assert kept.found.text == "panic: 0;mine \ufffdevil\ufffd2J end"


def test_bytes_that_are_no_text_are_found_and_can_be_stored() -> None:
    [kept] = log_scan.scan([b"a.c:1:1: error: \xff\xfe\0 no\n"])

    assert kept.found.text == "a.c:1:1: error: \ufffd\ufffd\ufffd no"
