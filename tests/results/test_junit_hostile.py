"""Broken, hostile and endless reports: tests or a named fault, in bounded memory, and never a crash."""

import io
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.results.formats import junit

CORPUS = Path(__file__).parent / "corpus"
XML_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=40
)
FRAGMENTS = st.sampled_from(
    [
        b"<?xml version='1.0' encoding='latin1'?>",
        b"<testsuites>",
        b"<testsuite>",
        b"</testsuite>",
        b"<testcase name='a' time='1'>",
        b"<testcase classname='b' name='a'/>",
        b"</testcase>",
        b"<failure message='m'>",
        b"</failure>",
        b"<![CDATA[",
        b"]]>",
        b"&amp;",
        b"&e;",
        b"<!-- ",
        b"-->",
        b"<!DOCTYPE a [<!ENTITY e 'x'>]>",
        b"text\n",
    ]
)


def parse(xml: str | bytes, **limits: int) -> list[junit.TestSeen]:
    data = xml.encode() if isinstance(xml, str) else xml
    return list(junit.parse(io.BytesIO(data), limits=junit.Limits(**limits)))


def parse_corpus(name: str) -> list[junit.TestSeen]:
    return parse((CORPUS / name).read_bytes())


def parse_until_fault(data: bytes) -> tuple[list[junit.TestSeen], junit.Malformed | None]:
    tests: list[junit.TestSeen] = []
    try:
        tests.extend(junit.parse(io.BytesIO(data)))
    except junit.Malformed as fault:
        return tests, fault
    return tests, None


def test_tests_before_a_fault_are_kept_and_the_fault_has_a_line() -> None:
    tests, fault = parse_until_fault((CORPUS / "truncated.xml").read_bytes())

    assert [test.name for test in tests] == ["a.first", "a.second"]
    assert fault is not None
    assert fault.line >= 4


def test_a_test_without_a_name_is_a_fault_at_its_line() -> None:
    tests, fault = parse_until_fault((CORPUS / "nameless.xml").read_bytes())

    assert [test.name for test in tests] == ["a.first"]
    assert fault is not None
    assert (fault.line, fault.cause) == (4, "a testcase has no name")


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "empty"),
        (b" \n ", "Start tag expected"),
        (b"PASS\n", "Start tag expected"),
        (b"<testsuite>\xff</testsuite>", "encoding"),
        (b"<testsuite>\x00</testsuite>", "Char 0x0"),
        (b"<testsuite>&undeclared;</testsuite>", "undeclared"),
    ],
)
def test_what_is_no_report_is_refused_with_its_cause(data: bytes, cause: str) -> None:
    with pytest.raises(junit.Malformed, match=cause):
        parse(data)


def test_a_bitten_report_is_refused() -> None:
    with pytest.raises(junit.Malformed, match="Bitten"):
        parse_corpus("bitten.xml")


@pytest.mark.parametrize("name", ["billion_laughs.xml", "external_entity.xml", "external_dtd.xml"])
def test_a_document_type_is_refused_before_anything_of_it_is_read(name: str) -> None:
    with pytest.raises(junit.Malformed, match="DOCTYPE"):
        parse_corpus(name)


def test_an_attribute_of_many_megabytes_is_refused() -> None:
    with pytest.raises(junit.Malformed, match="limit"):
        parse(b"<testsuite><testcase name='" + b"x" * 20_000_000 + b"'/></testsuite>")


def test_deep_nesting_is_refused_or_read_but_never_breaks() -> None:
    tests, _ = parse_until_fault(b"<testsuite>" * 5000 + b"<testcase name='t'/>" + b"</testsuite>" * 5000)

    assert len(tests) <= 1


def test_more_tests_than_allowed_are_a_fault() -> None:
    with pytest.raises(junit.Malformed, match="more than 2 tests"):
        parse("<testsuite>" + '<testcase name="t"/>' * 3 + "</testsuite>", tests=2)


def test_a_long_text_keeps_its_head_and_its_tail_and_says_what_is_missing() -> None:
    lines = "".join(f"line {number}\n" for number in range(10_000))

    [test] = parse(
        f'<testsuite><testcase name="t"><failure>{lines}</failure></testcase></testsuite>', text_chars=1000
    )

    assert "\nline 0\n" in test.message
    assert test.message.endswith("line 9999")
    assert f"CONTENT TRUNCATED; {len(lines) - 1000} characters left out" in test.message
    assert len(test.message) < 1300


def test_text_far_beyond_the_limit_of_one_node_is_read_in_bounded_memory() -> None:
    [test] = list(junit.parse(LongOutput(chunks=2000), limits=junit.Limits(text_chars=2000)))

    assert len(test.message) < 2300
    assert "characters left out" in test.message


def test_two_long_names_that_differ_in_the_middle_stay_two() -> None:
    names = ["x" * 3000 + middle + "y" * 3000 for middle in "ab"]

    first, second = parse(
        f'<testsuite><testcase name="{names[0]}"/><testcase name="{names[1]}"/></testsuite>', name_chars=200
    )

    assert first.name != second.name
    assert max(len(first.name), len(second.name)) <= 200


def test_parts_beyond_the_limit_are_counted() -> None:
    [test] = parse(
        '<testsuite><testcase name="t">' + "<system-out>x</system-out>" * 9 + "</testcase></testsuite>",
        parts=4,
    )

    assert test.message.count("system-out") == 4
    assert "5 more parts left out" in test.message


@given(st.binary(max_size=300))
def test_any_bytes_give_tests_or_a_named_fault(data: bytes) -> None:
    parse_until_fault(data)


@given(st.lists(FRAGMENTS, max_size=25))
def test_any_jumble_of_a_reports_pieces_gives_tests_or_a_named_fault(fragments: list[bytes]) -> None:
    parse_until_fault(b"".join(fragments))


@given(st.lists(st.tuples(XML_TEXT, XML_TEXT.filter(bool), XML_TEXT), max_size=5))
def test_whatever_is_written_is_read_back(cases: list[tuple[str, str, str]]) -> None:
    xml = "".join(
        f"<testcase classname={quoteattr(classname)} name={quoteattr(name)}>"
        f"<failure>{escape(text)}</failure></testcase>"
        for classname, name, text in cases
    )

    tests = parse(f"<testsuite>{xml}</testsuite>")

    # Where both are the same it is said once.
    packages = [
        ("" if classname == name else classname) or ("" if classname else junit.package_of(name))
        for classname, name, _ in cases
    ]
    assert [test.package for test in tests] == packages
    assert all(test.name.endswith(name) for test, (_, name, _) in zip(tests, cases, strict=True))
    assert all(text.strip() in test.message for test, (_, _, text) in zip(tests, cases, strict=True))


class LongOutput(io.BytesIO):
    """A report whose one test printed 64 kB as often as asked; never whole in memory."""

    def __init__(self, chunks: int) -> None:
        super().__init__()
        self.lines = self._write(chunks)

    def _write(self, chunks: int) -> Iterator[bytes]:
        yield b"<testsuite><testcase name='t'><system-out>"
        for _ in range(chunks):
            yield b"x" * 65535 + b"\n"
        yield b"</system-out></testcase></testsuite>"

    def read(self, _size: int | None = -1, /) -> bytes:
        return next(self.lines, b"")


def test_tests_that_say_nothing_are_handed_on_while_the_file_is_read() -> None:
    case = b'<testcase classname="a" name="b" time="0.1"/>'
    stream = io.BytesIO(b"<testsuite>" + case * 10_000 + b"</testsuite>")

    next(junit.parse(stream))

    assert stream.tell() < len(stream.getvalue()) / 2
