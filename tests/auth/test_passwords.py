import asyncio
import subprocess
import sys
import threading
import unicodedata

import pytest
from argon2 import PasswordHasher, extract_parameters
from hypothesis import given
from hypothesis import strategies as st

from flashreserve.auth.outcomes import InvalidField
from flashreserve.auth.passwords import (
    Argon2Cost,
    Passwords,
    PasswordsBusy,
    Verification,
    hashing_threads,
    new_password,
    normalised_password,
)

CHEAP = Argon2Cost(memory_kib=8, passes=1)


async def test_a_password_is_verified_against_its_hash(passwords: Passwords) -> None:
    stored = await passwords.hash("correct horse")
    assert isinstance(stored, str)
    assert await passwords.verify(stored, "correct horse") == Verification(ok=True)
    assert await passwords.verify(stored, "correct horsf") == Verification(ok=False)


async def test_one_password_has_a_new_hash_each_time(passwords: Passwords) -> None:
    assert await passwords.hash("correct horse") != await passwords.hash("correct horse")


async def test_the_default_cost_is_argon2id_with_19_mib_2_passes_1_lane() -> None:
    passwords = Passwords(threads=1, waiting_max=0, cost=Argon2Cost())
    stored = await passwords.hash("correct horse")
    passwords.close()
    assert isinstance(stored, str)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_nobody_is_refused_after_the_same_work(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[tuple[object, ...]] = []
    verify = PasswordHasher.verify

    def spy(self: PasswordHasher, hash: str, password: str) -> bool:  # noqa: A002
        parameters = extract_parameters(hash)
        worked.append(tuple(getattr(parameters, name) for name in parameters.__slots__))
        return verify(self, hash, password)

    stored = await passwords.hash("correct horse")
    assert isinstance(stored, str)
    monkeypatch.setattr(PasswordHasher, "verify", spy)
    assert await passwords.verify(stored, "wrong horse") == Verification(ok=False)
    assert await passwords.verify(None, "wrong horse") == Verification(ok=False)
    assert len(worked) == 2
    assert worked[0] == worked[1]


@pytest.mark.parametrize("stored", ["", "x", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA", "$2b$12$abc"])
async def test_a_stored_hash_that_is_none_lets_nobody_in(passwords: Passwords, stored: str) -> None:
    assert await passwords.verify(stored, "correct horse") == Verification(ok=False)


@pytest.mark.parametrize(
    ("cost", "rises"),
    [
        (CHEAP, False),
        (Argon2Cost(memory_kib=16, passes=1), True),
        (Argon2Cost(memory_kib=8, passes=2), True),
        (Argon2Cost(memory_kib=16, passes=2), True),
    ],
)
async def test_a_right_password_is_hashed_anew_once_parameters_have_risen(
    passwords: Passwords,
    cost: Argon2Cost,
    rises: bool,  # noqa: FBT001
) -> None:
    stored = await passwords.hash("correct horse")
    assert isinstance(stored, str)
    risen = Passwords(threads=1, waiting_max=0, cost=cost)
    verification = await risen.verify(stored, "correct horse")
    assert isinstance(verification, Verification)
    assert verification.ok
    assert (verification.rehashed is not None) == rises
    assert await risen.verify(stored, "wrong horse") == Verification(ok=False)
    if verification.rehashed is not None:
        assert f"m={cost.memory_kib},t={cost.passes}," in verification.rehashed
        assert await risen.verify(verification.rehashed, "correct horse") == Verification(ok=True)
        # A process with the weaker old parameters doesn't replace the new hash.
        assert await passwords.verify(verification.rehashed, "correct horse") == Verification(ok=True)
    risen.close()


async def test_past_its_bound_it_is_busy_at_once_and_afterwards_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(PasswordHasher, "hash", lambda *_: go_on.wait(30) and "hashed")
    passwords = Passwords(threads=1, waiting_max=2, cost=CHEAP)
    taken_on = [asyncio.create_task(passwords.hash("correct horse")) for _ in range(3)]
    await asyncio.sleep(0)
    assert await passwords.hash("correct horse") == PasswordsBusy()
    assert await passwords.verify(None, "correct horse") == PasswordsBusy()
    go_on.set()
    assert await asyncio.gather(*taken_on) == ["hashed"] * 3
    assert await passwords.hash("correct horse") == "hashed"
    passwords.close()


async def test_callers_that_go_away_leave_no_room_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(PasswordHasher, "hash", lambda *_: go_on.wait(30) and "hashed")
    passwords = Passwords(threads=1, waiting_max=1, cost=CHEAP)
    for _ in range(2):
        caller = asyncio.create_task(passwords.hash("correct horse"))
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
    assert await passwords.hash("correct horse") == PasswordsBusy()
    go_on.set()
    while passwords._working:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert await passwords.hash("correct horse") == "hashed"
    passwords.close()


async def test_one_group_that_asks_often_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another client's password is checked second, although the room was full when it arrived."""
    go_on, order = threading.Event(), list[str]()

    def hash_(_: PasswordHasher, password: str) -> str:
        go_on.wait(30)
        order.append(password)
        return password

    monkeypatch.setattr(PasswordHasher, "hash", hash_)
    passwords = Passwords(threads=1, waiting_max=4, cost=CHEAP)
    often = [asyncio.create_task(passwords.hash(f"often {number}", ["192.0.2.1"])) for number in range(9)]
    await asyncio.sleep(0)
    others = [asyncio.create_task(passwords.hash(f"other {number}", [f"198.51.100.{number}"])) for number in range(2)]
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(*others) == ["other 0", "other 1"]
    assert [await task for task in often] == ["often 0", "often 1", "often 2", *[PasswordsBusy()] * 6]
    assert order == ["often 0", "often 1", "other 0", "other 1", "often 2"]
    passwords.close()


async def test_on_closing_all_that_wait_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(PasswordHasher, "hash", lambda *_: go_on.wait(30) and "hashed")
    passwords = Passwords(threads=1, waiting_max=3, cost=CHEAP)
    waiting = [asyncio.create_task(passwords.hash("correct horse")) for _ in range(4)]
    await asyncio.sleep(0)
    passwords.close()
    go_on.set()
    assert await asyncio.gather(*waiting) == ["hashed", *[PasswordsBusy()] * 3]
    assert await passwords.hash("correct horse") == PasswordsBusy()


SHORT_OF_MEMORY = """
import asyncio, resource
from flashreserve.auth.passwords import Argon2Cost, Passwords

def allow(more_mib):
    pages = int(open("/proc/self/statm").read().split()[0])
    most = pages * resource.getpagesize() + more_mib * 2**20 if more_mib else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))

async def main():
    cost = Argon2Cost(memory_kib=64 * 1024, passes=1)
    with_thread, without = [Passwords(threads=1, waiting_max=1, cost=cost) for _ in range(2)]
    stored = await with_thread.hash("correct horse")
    allow(16)
    print(await with_thread.verify(stored, "correct horse"), await with_thread.verify(None, "correct horse"))
    print(await with_thread.hash("correct horse"))
    allow(1)
    print(*[await without.verify(stored, "correct horse") for _ in range(3)])
    allow(0)
    print(await with_thread.verify(stored, "correct horse"), await without.verify(stored, "correct horse"))

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits of memory as Linux has them")
def test_without_memory_or_threads_nothing_is_said_about_the_password() -> None:
    """Run in a separate process with real limits; once there is memory again, hashing works as before."""
    command = [sys.executable, "-c", SHORT_OF_MEMORY]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    answers = [line for line in ended.stdout.splitlines() if "Verification" in line or "PasswordsBusy" in line]
    shown = [line for line in answers if "can't be hashed" not in line]
    right = "Verification(ok=True, rehashed=None)"
    assert shown == ["PasswordsBusy() PasswordsBusy()", "PasswordsBusy()", "PasswordsBusy() " * 2 + "PasswordsBusy()",
                     f"{right} {right}"], ended  # fmt: skip


@pytest.mark.parametrize(("processors", "threads"), [(1, 1), (2, 1), (4, 3), (9, 8), (10, 8), (64, 8)])
def test_hashing_leaves_a_processor_free_and_has_bounded_memory(processors: int, threads: int) -> None:
    assert hashing_threads(processors) == threads


@pytest.mark.parametrize(
    ("processors", "processes", "threads"), [(1, 8, 1), (8, 8, 1), (8, 2, 3), (9, 2, 3), (64, 4, 8), (8, 64, 1)]
)
def test_processes_that_share_the_processors_share_the_hashing(processors: int, processes: int, threads: int) -> None:
    assert hashing_threads(processors, processes=processes) == threads


async def test_no_more_threads_work_than_were_allowed(passwords: Passwords) -> None:
    await asyncio.gather(*(passwords.hash("correct horse") for _ in range(50)))
    assert len(passwords._pool._threads) == 2


@pytest.mark.parametrize("length", [8, 128])
def test_8_to_128_characters_are_a_password(length: int) -> None:
    assert new_password("p" * length) == "p" * length


@pytest.mark.parametrize("length", [0, 7, 129, 512, 1_000_000])
def test_fewer_or_more_are_not(length: int) -> None:
    assert new_password("p" * length) == InvalidField("password", "must have 8 to 128 characters")


@pytest.mark.parametrize("control", ["\0", "\t", "\n", "\x1f", "\x7f", "\x80", "\x9f"])
def test_a_password_with_a_control_character_may_be_tried_but_not_chosen(control: str) -> None:
    assert normalised_password(f"correct{control}horse") == f"correct{control}horse"
    assert new_password(f"correct{control}horse") == InvalidField("password", "must have no control characters")


def test_a_short_password_may_be_tried_but_not_chosen() -> None:
    assert normalised_password("short") == "short"
    assert isinstance(normalised_password("p" * 129), InvalidField)


def test_a_megabyte_is_refused_before_it_is_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    # Patched for this call only, because pytest itself normalises text that it prints.
    with monkeypatch.context() as patched:
        patched.setattr(unicodedata, "normalize", lambda *_: pytest.fail("it was normalised"))
        refused = normalised_password("é" * 1_000_000)
    assert isinstance(refused, InvalidField)


async def test_a_password_past_the_rules_is_never_hashed(passwords: Passwords) -> None:
    with pytest.raises(ValueError, match="1000000 characters"):
        await passwords.hash("p" * 1_000_000)
    with pytest.raises(ValueError, match="1000000 characters"):
        await passwords.verify(None, "p" * 1_000_000)


def test_half_a_surrogate_pair_is_no_text() -> None:
    refused = normalised_password("password\ud800")
    assert isinstance(refused, InvalidField)
    assert "Unicode" in refused.message


async def test_one_password_typed_on_two_keyboards_is_the_same(passwords: Passwords) -> None:
    composed, decomposed = new_password("crème brûlée"), new_password(unicodedata.normalize("NFD", "crème brûlée"))
    assert composed == decomposed
    assert new_password("é" * 8) == new_password("e\u0301" * 8)
    assert isinstance(new_password("e\u0301" * 7), InvalidField)


@given(st.text(max_size=600))
def test_what_is_accepted_is_bounded_and_its_own_normal_form(text: str) -> None:
    password = new_password(text)
    if isinstance(password, str):
        assert 8 <= len(password) <= 128
        assert new_password(password) == password


@pytest.mark.parametrize(("threads", "waiting_max"), [(0, 1), (1, -1)])
def test_a_pool_without_room_is_refused(threads: int, waiting_max: int) -> None:
    with pytest.raises(ValueError, match="at least 1 thread"):
        Passwords(threads=threads, waiting_max=waiting_max, cost=CHEAP)
