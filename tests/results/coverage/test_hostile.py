"""Reports that are broken, or made to harm: files or a named fault, and never anything else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.results.coverage.reports import CORPUS, read, until_fault

from changes.results.formats import seen
from changes.results.formats.line_marks import CoverageLimits

SMALL = CoverageLimits(files=3, lines=300, all_lines=5000, told_lines=50)
OF_EACH = {
    "cobertura": '<coverage><class filename="{name}"><lines>{lines}</lines></class></coverage>',
    "clover": '<coverage clover="4"><project><file name="{name}">{lines}</file></project></coverage>',
    "jacoco": '<report><package name="p"><sourcefile name="{name}">{lines}</sourcefile></package></report>',
    "lcov": "SF:{name}\n{lines}end_of_record\n",
    "go": "mode: set\n{lines}",
    "json": '{{"meta": {{}}, "files": {{"{name}": {{"executed_lines": [{lines}], "missing_lines": []}}}}}}',
}
A_LINE = {
    "cobertura": '<line number="{}" hits="1"/>',
    "clover": '<line num="{}" type="stmt" count="1"/>',
    "jacoco": '<line nr="{}" ci="1"/>',
    "lcov": "DA:{},1\n",
    "go": "a.go:{0}.1,{0}.2 1 1\n",
    "json": "{}",
}
FORMATS = sorted(OF_EACH)
PIECES = st.sampled_from(
    [
        *("<coverage>", "</coverage>", "<report>", "</report>", "<coverage clover='1'>", "<project>"),
        *("<class filename='a'>", "</class>", "<class>", "<method>", "</method>", "<source>", "</source>"),
        *("<package name='p'>", "</package>", "<sourcefile name='s'>", "</sourcefile>", "<group name='g'>"),
        *("<file name='f'>", "</file>", "<line number='1' hits='1'/>", "<line nr='2' ci='1'/>"),
        *("<line num='3' count='1'/>", "<line/>", "<line number='x' hits='1'/>", "<![CDATA[", "]]>", "&lt;"),
        *("&e;", "<!--", "-->", "<!DOCTYPE a [<!ENTITY e 'x'>]>", "text\n", "<line number='-1'/>"),
    ]
)
TRACE_PIECES = st.sampled_from(
    [
        *("TN:\n", "SF:a\n", "SF:\n", "DA:1,1\n", "DA:1\n", "DA:x,1\n", "BRDA:1,0,0,-\n", "BRDA:\n"),
        *(
            "end_of_record\n",
            "LF:1\n",
            "noise\n",
            "# said\n",
            "DA:2,\n",
            "\0\n",
            "FNDA:1,a,b\n",
            "DA:1,-5,abc\n",
        ),
    ]
)
GO_PIECES = st.sampled_from(
    [
        *("mode: set\n", "mode: x\n", "a.go:1.1,2.2 1 1\n", "a.go:5.1,2.2 1 1\n", "a.go:1.1,2.2 0 1\n"),
        *("noise\n", ":1.1,2.2 1 1\n", "b.go:1.1,2.2 1\n", "\n", "a:b:1.1,2.2 1 99999999999999999999\n"),
    ]
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["executed_lines", "missing_lines", "missing_branches", "x"]), inner
        )
    ),
    max_leaves=12,
)


def check(data: bytes) -> None:
    files, fault = until_fault(data)
    for each in files:
        marks = each.marks
        assert each.name
        assert seen.storable(each.name) == each.name
        assert marks.covered & ~marks.executable == 0
        assert marks.partial & ~(marks.executable & ~marks.covered) == 0
        assert len(marks.codes()) == marks.line_count
    assert fault is None or fault.line >= 1


@given(st.binary(max_size=300))
def test_any_bytes_give_files_or_a_named_fault(data: bytes) -> None:
    check(data)


@given(st.lists(PIECES, max_size=25))
def test_any_jumble_of_xml_gives_files_or_a_named_fault(pieces: list[str]) -> None:
    check(f"<coverage>{''.join(pieces)}".encode())
    check(f"<report>{''.join(pieces)}".encode())


@given(st.lists(TRACE_PIECES, max_size=25))
def test_any_jumble_of_a_trace_gives_files_or_a_named_fault(pieces: list[str]) -> None:
    check(f"TN:\n{''.join(pieces)}".encode())


@given(st.lists(GO_PIECES, max_size=25))
def test_any_jumble_of_a_profile_gives_files_or_a_named_fault(pieces: list[str]) -> None:
    check(f"mode: set\n{''.join(pieces)}".encode())


@given(JSON_VALUES)
def test_any_json_gives_files_or_a_named_fault(value: object) -> None:
    check(json.dumps({"meta": {}, "files": value}).encode())
    check(json.dumps({"meta": {}, "files": {"a": value}}).encode())


@pytest.mark.parametrize("name", [path.name for path in sorted(CORPUS.iterdir())])
def test_a_file_cut_anywhere_gives_what_was_read_before(name: str) -> None:
    data = (CORPUS / name).read_bytes()
    whole, _ = until_fault(data)

    for length in range(0, len(data), max(1, len(data) // 23)):
        files, _ = until_fault(data[:length])
        assert len(files) <= len(whole)


def test_what_stands_before_a_fault_is_kept_and_its_line_is_told() -> None:
    report = (
        '<coverage>\n<class filename="a"><lines><line number="1" hits="1"/></lines></class>\n'
        '<class filename="b"><lines><line number="1" hits="1"/>\n<line number="two" hits="1"/>'
    )

    files, fault = until_fault(report.encode())

    assert [(each.name, each.marks.codes()) for each in files] == [("a", "C"), ("b", "C")]
    assert str(fault) == "line 4: the number of a line is no number: 'two'"


def test_a_trace_that_ends_in_a_record_is_kept_and_told_of() -> None:
    files, fault = until_fault(b"SF:a\nDA:1,1\nend_of_record\nSF:b\nDA:2,1\n")

    assert [(each.name, each.marks.codes()) for each in files] == [("a", "C"), ("b", "NC")]
    assert fault is not None
    assert fault.line == 5


def test_a_doctype_that_leads_elsewhere_is_passed_over_and_one_that_declares_is_refused() -> None:
    inside = '<coverage><class filename="a"/></coverage>'

    known = read(f'<!DOCTYPE coverage SYSTEM "http://127.0.0.1:1/coverage.dtd">{inside}'.encode())
    _, fault = until_fault(f'<!DOCTYPE coverage [<!ENTITY a "ha">]>{inside}'.encode())

    assert [each.name for each in known] == ["a"]
    assert fault is not None
    assert "DOCTYPE" in fault.cause


def test_entities_that_nobody_declared_are_a_fault() -> None:
    _, fault = until_fault(b"<coverage><source>&xxe;</source></coverage>")

    assert fault is not None


def test_deep_nesting_is_refused() -> None:
    _, fault = until_fault(b"<coverage>" + b"<a>" * 100_000)

    assert fault is not None
    assert "deep" in fault.cause


def test_a_tag_of_many_megabytes_is_refused() -> None:
    _, fault = until_fault(b'<coverage><class filename="' + b"x" * 5_000_000)

    assert fault is not None
    assert "more than" in fault.cause


def test_a_name_of_a_megabyte_is_clipped() -> None:
    (found,) = read(f'<coverage><class filename="{"x" * 500_000}"/></coverage>'.encode())

    assert len(found.name) < 1100


@pytest.mark.parametrize("kind", FORMATS)
def test_a_line_beyond_all_lines_is_a_fault(kind: str) -> None:
    data = OF_EACH[kind].format(name="a", lines=A_LINE[kind].format(301)).encode()

    with pytest.raises(seen.Malformed, match="line 301"):
        read(data, limits=SMALL)


@pytest.mark.parametrize("kind", FORMATS)
def test_more_said_of_lines_than_is_read_is_a_fault(kind: str) -> None:
    lines = [A_LINE[kind].format(1)] * 51
    data = OF_EACH[kind].format(name="a", lines=(", " if kind == "json" else "").join(lines)).encode()

    with pytest.raises(seen.Malformed, match="more than 50 lines"):
        read(data, limits=SMALL)


@pytest.mark.parametrize("name", ["coverage_py.json", "coverage_py.lcov", "coverage_py.xml"])
def test_more_files_than_are_kept_are_a_fault(name: str) -> None:
    with pytest.raises(seen.Malformed, match="more than 2 files"):
        read((CORPUS / name).read_bytes(), limits=CoverageLimits(files=2))


def test_files_without_end_are_stopped_by_the_room_they_take() -> None:
    classes = '<class filename="a"><line number="1000000" hits="1"/></class>' * 2000

    _, fault = until_fault(f"<coverage>{classes}</coverage>".encode())

    assert fault is not None
    assert "together" in fault.cause


def test_a_block_without_end_is_stopped_by_what_it_costs() -> None:
    blocks = "a.go:1.1,900000.1 1 1\n" * 1000

    _, fault = until_fault(f"mode: set\n{blocks}".encode())

    assert fault is not None
    assert "more than 200000000 lines" in fault.cause


NO_NUMBERS = (
    "NaN",
    "inf",
    "-1",
    "1e30",
    f"1{'0' * 30}",
    str(2**63),
    str(-(2**63)),
    "1.5",
    "0x10",
    "9" * 5000,
)


@pytest.mark.parametrize("number", NO_NUMBERS, ids=lambda number: number[:8])
@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_no_number_of_a_line_is_a_fault_in_words(kind: str, number: str) -> None:
    data = OF_EACH[kind].format(name="a", lines=A_LINE[kind].format(number)).encode()

    files, fault = until_fault(data)

    assert fault is not None
    assert not any(each.marks.executable for each in files)


@pytest.mark.parametrize(
    ("hits", "ran"),
    [("NaN", "U"), ("inf", "U"), ("-1", "U"), ("0x10", "U"), ("0.0", "U"), ("0.5", "C"), ("1e30", "C")],
)
def test_a_line_has_run_only_where_it_is_counted(hits: str, ran: str) -> None:
    found = read(f"SF:a\nDA:1,{hits}\nend_of_record\n".encode())

    assert [each.marks.codes() for each in found] == [ran]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_of_very_many_lines_is_read(kind: str) -> None:
    lines = (A_LINE[kind].format(number) for number in range(1, 50_001))
    data = OF_EACH[kind].format(name="a", lines=(", " if kind == "json" else "").join(lines)).encode()

    (found,) = read(data)

    assert found.marks.lines_covered == 50_000
