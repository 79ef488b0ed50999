"""Who is woken when steps arrive: as many as there are steps, and only those that could do it."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

from changes.base import ids
from changes.builds.lanes import Needs, Offer
from changes.web.waiting_room import PASSED_ON_MAX, Seat, WaitingRoom

ANY = Offer()
LINUX = '[["linux", {}, 0, 0, 1]]'
BOTH = '[["linux", {}, 0, 0, 1], [null, {}, 0, 0, 1]]'
LARGE = "[[null, {}, 8, 0, 1]]"


def among(offers: list[Offer], act: Callable[[WaitingRoom, list[Seat]], None]) -> list[bool]:
    """Who of them was called after this was done."""

    async def wait() -> list[bool]:
        room = WaitingRoom()
        with ExitStack() as stack:
            seats = [stack.enter_context(room.seat(offer)) for offer in offers]
            act(room, seats)
            return [seat.ring.done() for seat in seats]

    return asyncio.run(wait())


def in_cluster(*names: str) -> Offer:
    return Offer(frozenset(names))


def test_one_step_wakes_one_that_could_do_it() -> None:
    woken = among(
        [in_cluster("mac"), in_cluster("linux"), in_cluster("linux")], lambda room, _: room.hear(LINUX)
    )

    assert woken == [False, True, False]


def test_each_kind_of_step_wakes_its_own() -> None:
    assert among([in_cluster(), in_cluster("linux")], lambda room, _: room.hear(BOTH)) == [True, True]


def test_when_something_was_missed_everybody_looks() -> None:
    assert among([in_cluster(), in_cluster("linux")], lambda room, _: room.hear("")) == [True, True]


def test_whoever_got_something_else_passes_the_call_on() -> None:
    def pass_on(room: WaitingRoom, seats: list[Seat]) -> None:
        room.hear(LINUX)
        room.served(seats[0].called, [Needs()])

    assert among([in_cluster("linux"), in_cluster("linux")], pass_on) == [True, True]


def test_a_call_that_was_answered_is_over() -> None:
    def answer(room: WaitingRoom, seats: list[Seat]) -> None:
        room.hear(LINUX)
        room.served(seats[0].called, [Needs("linux")])

    assert among([in_cluster("linux"), in_cluster("linux")], answer) == [True, False]


def test_a_call_for_nothing_that_is_left_is_over() -> None:
    def find_nothing(room: WaitingRoom, seats: list[Seat]) -> None:
        room.hear(LINUX)
        room.served(seats[0].called, [])

    assert among([in_cluster("linux"), in_cluster("linux")], find_nothing) == [True, False]


def test_a_step_too_large_for_one_goes_on_to_some_others_but_not_for_ever() -> None:
    def find_no_room(room: WaitingRoom, seats: list[Seat]) -> None:
        room.hear(LARGE)
        for seat in seats:
            room.served(seat.called, [])

    woken = among([Offer(cpus=8)] * 9, find_no_room)

    assert woken.count(True) == 1 + PASSED_ON_MAX


def test_whoever_is_gone_hands_his_call_back() -> None:
    def go(room: WaitingRoom, seats: list[Seat]) -> None:
        room.hear(LINUX)
        room.hand_back(seats[0].called, None)

    assert among([in_cluster("linux"), in_cluster("linux")], go) == [True, True]


def test_one_that_may_not_work_is_not_called() -> None:
    async def wait() -> bool:
        room = WaitingRoom()
        with room.seat(Offer(), is_open=False) as seat:
            room.hear("[[null, {}, 0, 0, 1]]")
            return seat.ring.done()

    assert not asyncio.run(wait())


def test_a_machine_that_found_nothing_need_not_look_again_before_there_is_news() -> None:
    async def look() -> list[bool]:
        room, node_id = WaitingRoom(), ids.new()
        first = room.is_news(node_id, ANY)
        room.note_look(node_id, ANY, room.heard, found=False)
        after_nothing = room.is_news(node_id, ANY)
        room.hear("8")
        after_knock = room.is_news(node_id, ANY)
        room.hear(LINUX)
        return [first, after_nothing, after_knock, room.is_news(node_id, ANY)]

    assert asyncio.run(look()) == [True, False, False, True]


def test_of_several_who_are_only_to_look_one_goes_after_the_other() -> None:
    async def knock() -> list[list[bool]]:
        room = WaitingRoom()
        with room.seat(ANY) as first, room.seat(ANY) as second:
            room.hear("2")
            await first.ring
            at_first = [first.ring.done(), second.ring.done()]
            await second.ring
            return [at_first, [first.ring.done(), second.ring.done()]]

    assert asyncio.run(knock()) == [[True, False], [True, True]]


def test_what_arrives_during_a_look_is_news() -> None:
    async def look() -> bool:
        room, node_id = WaitingRoom(), ids.new()
        heard_before = room.heard
        room.hear(LINUX)
        room.note_look(node_id, ANY, heard_before, found=False)
        return room.is_news(node_id, ANY)

    assert asyncio.run(look())


def test_a_machine_that_offers_something_else_looks_again() -> None:
    node_id, room = ids.new(), WaitingRoom()

    room.note_look(node_id, ANY, room.heard, found=False)

    assert not room.is_news(node_id, ANY)
    assert room.is_news(node_id, in_cluster("linux"))


def test_only_the_first_of_those_who_look_is_alone() -> None:
    room = WaitingRoom()

    with room.looking() as first, room.looking() as second:
        pass
    with room.looking() as third:
        pass

    assert [first, second, third] == [True, False, True]
