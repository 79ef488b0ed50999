"""Reports as tools really write them; each says of the same program what the others say of it."""

import io

import pytest
from tests.results.coverage.reports import CORPUS, codes, of_corpus, read

from changes.results.formats import coverage_reports

TILL = {"src/till/prices.py": "NNNCCCUUCUUCNNCC", "src/till/receipt.py": "CNNCCCNCCCNCU"}
GAUGE = {"gauge.c": "NNCNUUUCUNNUNU", "gauge.h": "NC", "main.c": "NNNCNCC"}
CART = {"check.js": "CU", "lib/cart.js": "NNNCCUUNCNUNNNUNNC"}
PUMPS = {
    "com/acme/Pump.java": "NNCUNNNNCUNCNNNUNNNCCCC",
    "com/acme/Tank.java": "NNUUNNNNUUNUNNNUNNNUUUU",
}


def below(folder: str, files: dict[str, str]) -> dict[str, str]:
    return {f"{folder}/{name}": said for name, said in files.items()}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("coverage_py.xml", TILL),
        ("coverage_py.json", TILL),
        ("coverage_py.lcov", TILL),
        ("lcov.info", below("/builds/gauge/src", GAUGE)),
        ("gcovr_cobertura.xml", below("src", GAUGE)),
        ("gcovr_clover.xml", below("src", {**GAUGE, "gauge.c": "NNCNCUCCUNNUNU"})),
        ("istanbul_lcov.info", CART),
        ("istanbul_cobertura-coverage.xml", CART),
        (
            "istanbul_clover.xml",
            below("/home/ann/cart", {"check.js": "CC", "lib/cart.js": "NNNCCCUNCNCNNNUNNC"}),
        ),
        ("go_cover.out", {"example.com/acme/pump/pump/pump.go": "NNNCCUUCCCCCNNU"}),
        ("jacoco.xml", PUMPS),
        ("phpunit_clover.xml", {"/home/ann/shop/src/Till.php": "NNNNNNNCUNCNNNNU"}),
        ("phpunit_cobertura.xml", {"Till.php": "NNNNNNNCUNCNNNNU"}),
        ("openclover.xml", {"/home/ann/pump/src/main/java/com/acme/Pump.java": "NNNNUUNCUC"}),
        # It leaves out how much ran, so it says nothing of any line.
        ("gcovr_jacoco.xml", {}),
    ],
)
def test_a_report_says_of_each_line_whether_it_ran(name: str, expected: dict[str, str]) -> None:
    assert codes(of_corpus(name)) == expected


@pytest.mark.parametrize("name", [path.name for path in sorted(CORPUS.iterdir())])
def test_a_report_is_known_by_how_it_begins(name: str) -> None:
    with (CORPUS / name).open("rb") as stream:
        assert coverage_reports.is_known(stream)
        assert stream.tell() == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"{}",
        b'{"total": {"lines": {}}}',
        b"<html></html>",
        b"<testsuite/>",
        b"[1, 2]",
        b"\0\1",
    ],
)
def test_other_files_are_no_reports(data: bytes) -> None:
    assert not coverage_reports.is_known(io.BytesIO(data))


@pytest.mark.parametrize("name", ["coverage_py.xml", "coverage_py.json", "coverage_py.lcov"])
def test_a_line_that_did_not_take_all_branches_is_told_apart_and_has_not_run(name: str) -> None:
    marks = of_corpus(name)["src/till/prices.py"]

    assert marks.partial == 1 << 6 | 1 << 9
    assert (marks.lines_covered, marks.lines_uncovered) == (7, 4)


def test_where_names_may_be_is_told_with_them() -> None:
    (till,) = {seen.roots for seen in read((CORPUS / "coverage_py.xml").read_bytes())}
    (pump,) = {seen.roots for seen in read((CORPUS / "jacoco.xml").read_bytes())}

    assert till == ("/home/ann/till",)
    assert pump == ("src/main/java",)


def test_modules_of_jacoco_are_folders() -> None:
    line = '<sourcefile name="A.java"><line nr="1" ci="1"/></sourcefile>'
    package = f'<package name="a">{line}</package>'
    report = f'<report name="all"><group name="core">{package}</group>{package}</report>'

    inside, outside = read(report.encode())

    assert inside.roots == ("src/main/java", "core/src/main/java")
    assert outside.roots == ("src/main/java",)


def test_the_last_package_of_jacoco_counts_too() -> None:
    file = '<sourcefile name="{0}.java"><line nr="2" mi="0" ci="4"/></sourcefile>'
    report = "".join(f'<package name="{name}">{file.format(name)}</package>' for name in ("a", "b"))

    found = {seen.name: seen.marks.codes() for seen in read(f"<report>{report}</report>".encode())}

    assert found == {"a/a.java": "NC", "b/b.java": "NC"}


def test_classes_of_one_file_are_parts_of_it() -> None:
    lines = '<class name="{0}" filename="a.cs"><lines><line number="{1}" hits="1"/></lines></class>'
    classes = lines.format("A", 1) + lines.format("A.Inner", 3)

    found = read(f"<coverage><packages>{classes}</packages></coverage>".encode())

    assert [(seen.name, seen.marks.codes()) for seen in found] == [("a.cs", "C"), ("a.cs", "NNC")]


def test_lines_of_methods_count_where_the_class_has_none_of_its_own() -> None:
    method = '<methods><method><lines><line number="2" hits="1"/></lines></method></methods>'
    own = '<lines><line number="2" hits="1" branch="true" condition-coverage="50% (1/2)"/></lines>'
    classes = f'<class filename="a">{method}</class><class filename="b">{method}{own}</class>'

    found = {seen.name: seen.marks.codes() for seen in read(f"<coverage>{classes}</coverage>".encode())}

    assert found == {"a": "NC", "b": "NU"}


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ('hits="0"', "U"),
        ('hits="00"', "U"),
        ('hits="-3"', "U"),
        ("", "U"),
        ('hits="18446744073709551616"', "C"),
        ('hits="1.0"', "C"),
        ('hits="1" branch="false"', "C"),
        ('hits="5" branch="true" condition-coverage="100% (2/2)"', "C"),
        ('hits="5" branch="true" condition-coverage="50% (1/2)"', "U"),
        ('hits="5" branch="true"', "U"),
        ('hits="0" branch="true" condition-coverage="0% (0/2)"', "U"),
    ],
)
def test_a_line_of_cobertura_ran_as_the_original_read_it(attributes: str, code: str) -> None:
    line = f'<class filename="a"><lines><line number="1" {attributes}/></lines></class>'

    (seen,) = read(f"<coverage>{line}</coverage>".encode())

    assert seen.marks.codes() == code


def test_a_branch_of_an_exception_nobody_wrote() -> None:
    record = "SF:a.cpp\nDA:1,2\nBRDA:1,e0,0,-\nBRDA:1,0,0,2\nend_of_record\n"

    (seen,) = read(record.encode())

    assert seen.marks.codes() == "C"


def test_profiles_of_go_one_behind_the_other_are_one() -> None:
    block = "mode: count\nm/a.go:1.1,2.5 1 {}\n"

    (seen,) = read((block.format(0) + block.format(7)).encode())

    assert seen.marks.codes() == "CC"


def test_a_file_of_windows_is_read() -> None:
    lcov = b"\xef\xbb\xbfTN:\r\nSF:C:\\w\\a.js\r\nDA:1,1\r\nend_of_record\r\n"
    go = b"mode: set\r\nC:\\w\\a.go:1.1,1.5 1 1\r\n"
    xml = '<?xml version="1.0" encoding="UTF-16"?><coverage><class filename="a"/></coverage>'.encode("utf-16")

    names = [seen.name for data in (lcov, go, xml) for seen in read(data)]

    assert names == ["C:\\w\\a.js", "C:\\w\\a.go", "a"]


def test_an_encoding_by_a_wrong_name_is_utf_8() -> None:
    report = '<?xml version="1.0" encoding="UTF8"?><coverage><class filename="ü.py"/></coverage>'

    assert [seen.name for seen in read(report.encode())] == ["ü.py"]
