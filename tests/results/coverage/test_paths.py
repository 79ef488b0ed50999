"""From the names that tools write to the files of a repository."""

from collections.abc import Collection

import pytest

from changes.results.coverage.paths import Tree, placed, without_tree


def found(names: Collection[str], tree: Collection[str], *roots: str) -> dict[str, str]:
    told = placed([(name, roots) for name in names], Tree(frozenset(tree)))
    return {name: path for (name, _), path in told.items()}


def test_a_name_that_the_commit_has_is_that_file() -> None:
    assert found(["src/a.py"], ["src/a.py", "old/src/a.py"]) == {"src/a.py": "src/a.py"}


def test_the_folder_of_the_machine_is_taken_away() -> None:
    names = ["/home/ci/w/src/app/a.py", "/home/ci/w/src/app/b.py"]

    assert found(names, ["src/app/a.py", "src/app/b.py", "app/a.py"]) == {
        "/home/ci/w/src/app/a.py": "src/app/a.py",
        "/home/ci/w/src/app/b.py": "src/app/b.py",
    }


def test_files_of_the_machine_are_none_of_the_repository() -> None:
    names = ["/w/src/a.c", "/w/src/b.c", "/usr/include/stdio.h"]

    assert found(names, ["src/a.c", "src/b.c", "stdio.h"]) == {
        "/w/src/a.c": "src/a.c",
        "/w/src/b.c": "src/b.c",
    }


def test_a_source_folder_of_the_report_stands_before_its_names() -> None:
    tree = ["packages/a/index.js", "packages/a/lib/cart.js", "index.js"]

    assert found(["index.js", "lib/cart.js"], tree, "/builds/1/packages/a") == {
        "index.js": "packages/a/index.js",
        "lib/cart.js": "packages/a/lib/cart.js",
    }


def test_names_may_be_meant_from_where_the_report_lies() -> None:
    tree = ["packages/a/index.js", "packages/b/index.js", "index.js"]

    assert found(["index.js"], tree, "packages/a/coverage", "packages/a", "packages") == {
        "index.js": "packages/a/index.js"
    }


def test_a_package_of_java_is_found_in_its_module() -> None:
    folder = "services/pump/src/main/java/com/acme"
    tree = [f"{folder}/Pump.java", f"{folder}/Tank.java", "other/src/test/java/com/acme/Tank.java"]

    assert found(["com/acme/Pump.java", "com/acme/Tank.java"], tree, "src/main/java") == {
        "com/acme/Pump.java": f"{folder}/Pump.java",
        "com/acme/Tank.java": f"{folder}/Tank.java",
    }


def test_the_name_of_a_module_of_go_is_taken_away() -> None:
    names = ["example.com/acme/pump/flow/flow.go", "example.com/acme/pump/main.go", "github.com/o/d/util.go"]

    assert found(names, ["flow/flow.go", "main.go", "util.go", "cmd/main.go"]) == {
        "example.com/acme/pump/flow/flow.go": "flow/flow.go",
        "example.com/acme/pump/main.go": "main.go",
    }


def test_a_module_of_one_file_is_found_too() -> None:
    assert found(["example.com/m/main.go"], ["main.go"]) == {"example.com/m/main.go": "main.go"}


def test_a_module_in_a_folder_is_found_though_its_name_says_nothing_of_it() -> None:
    names = [f"example.com/acme/pump/flow/{name}.go" for name in "abc"]

    assert found(names, [f"services/pump/flow/{name}.go" for name in "abc"]) == {
        f"example.com/acme/pump/flow/{name}.go": f"services/pump/flow/{name}.go" for name in "abc"
    }


def test_what_may_be_several_files_is_none() -> None:
    assert found(["dup/x.py"], ["p/dup/x.py", "q/dup/x.py"]) == {}


def test_of_several_files_it_is_the_one_that_needs_what_the_other_names_need() -> None:
    tree = ["p/dup/x.py", "q/dup/x.py", "p/a/y.py", "p/b/z.py"]

    assert found(["dup/x.py", "a/y.py", "b/z.py"], tree)["dup/x.py"] == "p/dup/x.py"


def test_a_name_that_too_many_files_have_is_found_by_what_the_others_need() -> None:
    many = [f"libs/l{number}/core/__init__.py" for number in range(200)]
    names = ["core/__init__.py", "core/only_here.py"]

    assert found(names, [*many, "libs/l7/core/only_here.py"]) == {
        "core/__init__.py": "libs/l7/core/__init__.py",
        "core/only_here.py": "libs/l7/core/only_here.py",
    }


@pytest.mark.parametrize("name", ["src\\a\\b.cs", "C:\\w\\src\\a\\b.cs", "./src/a/b.cs", "x/../src//a/b.cs"])
def test_names_are_read_however_they_are_written(name: str) -> None:
    assert found([name], ["src/a/b.cs"]) == {name: "src/a/b.cs"}


@pytest.mark.parametrize("name", ["", ".", "/", "..", "../..", "\\", "C:\\"])
def test_a_name_of_nothing_is_no_file(name: str) -> None:
    assert found([name], ["a/b"]) == {}
    assert without_tree((name, ()), "source") in (None, "..", "../..", "C:")


def test_where_nobody_knows_the_files_names_are_believed() -> None:
    assert without_tree(("src/a.py", ("/home/x",)), "source") == "src/a.py"
    assert without_tree(("/work/7/source/src/a.py", ()), "source") == "src/a.py"
    assert without_tree(("com/acme/Pump.java", ("src/main/java",)), "source") == (
        "src/main/java/com/acme/Pump.java"
    )
    assert without_tree(("/opt/a.py", ()), "source") == "opt/a.py"
