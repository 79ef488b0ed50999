from changes.base import ids
from changes.results.remembered_tests import BYTES_AROUND, RememberedTests

BYTES_OF_ONE = BYTES_AROUND + len("a.b")


def test_what_was_learnt_is_known_by_its_project() -> None:
    project, other = ids.new(), ids.new()
    memory = RememberedTests()

    memory.learn(project, {"a.b": 1})
    memory.learn(project, {"a.c": 2})

    assert memory.of(project) == {"a.b": 1, "a.c": 2}
    assert not memory.of(other)


def test_the_project_that_was_not_used_for_longest_is_forgotten_first() -> None:
    first, second, third = ids.new(), ids.new(), ids.new()
    memory = RememberedTests(bytes_max=2 * BYTES_OF_ONE)

    memory.learn(first, {"a.b": 1})
    memory.learn(second, {"a.b": 2})
    memory.of(first)
    memory.learn(third, {"a.b": 3})

    assert [len(memory.of(each)) for each in (first, second, third)] == [1, 0, 1]


def test_what_is_learnt_twice_takes_its_room_once() -> None:
    project = ids.new()
    memory = RememberedTests(bytes_max=BYTES_OF_ONE)

    memory.learn(project, {"a.b": 1})
    memory.learn(project, {"a.b": 1})

    assert memory.of(project) == {"a.b": 1}


def test_a_project_that_is_larger_than_the_memory_is_not_kept() -> None:
    project, small = ids.new(), ids.new()
    memory = RememberedTests(bytes_max=BYTES_OF_ONE)

    memory.learn(project, {"a.b": 1, "a.c": 2})
    memory.learn(small, {"a.b": 3})

    assert not memory.of(project)
    assert memory.of(small) == {"a.b": 3}
