"""Waiting clients are served in turn and keep their places, even if others send requests from many networks."""

from collections.abc import Sequence

import pytest

from flashreserve.auth.address import address_groups
from flashreserve.auth.waiting_room import WaitingRoom

PLACES = 64


def party(address: str) -> Sequence[str]:
    return address_groups(address)[::-1]


@pytest.mark.parametrize("prefix", ["2001:db8:1:0:{}::", "2001:db8:1:{:x}::1", "2001:db8:1:{:x}00::1"])
def test_a_network_is_one_party_in_however_many_of_its_parts_it_asks(prefix: str) -> None:
    room: WaitingRoom[str] = WaitingRoom(PLACES)
    for number in range(80):
        room.add(party(prefix.format(number)), "greedy")
    assert [room.add(party(f"192.0.2.{number}"), f"other {number}") for number in range(20)] == ["greedy"] * 20
    served = [room.next() for _ in range(PLACES)]
    assert sorted(filter("greedy".__ne__, served), key=str) == sorted(f"other {number}" for number in range(20))
    assert set(served[1:21]) == {f"other {number}" for number in range(20)}, "one of the network's, then theirs"
    assert room.next() is None


def test_within_a_network_its_parts_share_too() -> None:
    room: WaitingRoom[str] = WaitingRoom(4)
    for number in range(4):
        assert room.add(party("2001:db8:1:1::1"), f"greedy {number}") is None
    assert room.add(party("2001:db8:1:2::1"), "neighbour") == "greedy 3"
    assert room.add(party("2001:db8:1:1::1"), "greedy 4") == "greedy 4"
    assert [room.next() for _ in range(5)] == ["greedy 0", "neighbour", "greedy 1", "greedy 2", None]


def test_without_places_nobody_waits() -> None:
    assert WaitingRoom[str](0).add(party("192.0.2.1"), "job") == "job"


def test_all_that_wait_are_sent_away_at_the_end() -> None:
    room: WaitingRoom[int] = WaitingRoom(PLACES)
    for number in range(5):
        room.add(party(f"2001:db8:{number}::1"), number)
    assert sorted(room.clear()) == list(range(5))
    assert room.next() is None
