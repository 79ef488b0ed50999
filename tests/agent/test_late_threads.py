"""Threads that begin a little later, or not at all."""

import threading

import pytest

from changes.agent import late_threads
from changes.agent.late_threads import LateThread

NEVER_S = 3600.0
WITHIN_S = 20.0


def test_it_begins_by_itself_after_a_while() -> None:
    begun = threading.Event()

    late = LateThread(begun.set, 0.0, "late")

    assert begun.wait(WITHIN_S)
    late.finish()


def test_whoever_needs_it_before_does_it_himself() -> None:
    ran_in: list[threading.Thread] = []
    late = LateThread(lambda: ran_in.append(threading.current_thread()), NEVER_S, "late")

    late.finish()

    assert ran_in == [threading.current_thread()]


def test_it_begins_at_once_when_it_is_told_to() -> None:
    begun = threading.Event()
    late = LateThread(begun.set, NEVER_S, "late")

    late.start()

    assert begun.wait(WITHIN_S)
    late.finish()


def test_it_runs_once_however_often_it_is_told_to() -> None:
    runs: list[int] = []
    late = LateThread(lambda: runs.append(1), NEVER_S, "late")

    late.start()
    late.start()
    late.finish()
    late.start()

    assert runs == [1]


def test_whoever_finishes_it_waits_for_its_end() -> None:
    begun, may_end, has_ended = threading.Event(), threading.Event(), threading.Event()

    def act() -> None:
        begun.set()
        may_end.wait(WITHIN_S)
        has_ended.set()

    late = LateThread(act, 0.0, "late")
    assert begun.wait(WITHIN_S)

    finishing = threading.Thread(target=late.finish)
    finishing.start()
    may_end.set()
    finishing.join(WITHIN_S)

    assert has_ended.is_set()
    assert not finishing.is_alive()


def test_a_nearer_one_overtakes_those_that_wait_for_longer() -> None:
    later = LateThread(lambda: None, NEVER_S, "later")
    begun = threading.Event()

    sooner = LateThread(begun.set, 0.01, "sooner")

    assert begun.wait(WITHIN_S)
    sooner.finish()
    later.finish()


def test_it_is_tried_again_where_no_thread_could_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_threads, "TRY_AGAIN_S", 0.01)
    begun, tries = threading.Event(), iter([True, False])
    late = LateThread(begun.set, NEVER_S, "late")
    start = late.start

    def start_or_not() -> None:
        if next(tries):
            raise RuntimeError("can't start new thread")
        start()

    monkeypatch.setattr(late, "start", start_or_not)
    late_threads._clock.add(late, 0.0)

    assert begun.wait(WITHIN_S)
    late.finish()
