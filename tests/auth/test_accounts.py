import asyncio
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv6Network

import msgspec
import pytest
from argon2 import PasswordHasher
from tests.moving_clock import MovingClock

from flashreserve.auth.devices import DeviceTokens
from flashreserve.auth.keys import KeyRing
from flashreserve.auth.outcomes import (
    AccountNotFound,
    Busy,
    EmailTaken,
    InvalidField,
    LoggedIn,
    Promoted,
    Registered,
    TooManyTries,
    WrongCredentials,
)
from flashreserve.auth.passwords import Argon2Cost, Passwords, PasswordsBusy
from flashreserve.auth.sign_outs import SignOuts
from flashreserve.auth.throttle import MemoryThrottle, Rate, TryRates
from flashreserve.auth.tokens import Identity, Tokens
from flashreserve.auth.weak_passwords import shop_names
from flashreserve.clock import SystemIds
from flashreserve.core.accounts import Restriction
from flashreserve.core.model import Account, Role
from flashreserve.service.accounts import AccountService
from flashreserve.stores.memory import MemoryStore

EMAIL = "ada@example.com"
PASSWORD = "correct horse"
HOME = "198.51.100.1"
STRANGER = "203.0.113.66"


class AccountsShop:
    """An account service, and its parts for tests to use directly."""

    def __init__(self, clock: MovingClock, keys: KeyRing, passwords: Passwords) -> None:
        self.clock = clock
        self.store = MemoryStore()
        self.tokens = Tokens(keys, ttl_s=3600)
        self.throttle = MemoryThrottle(clock)
        self.devices = DeviceTokens(keys)
        self.accounts = self.service(passwords)

    def service(self, passwords: Passwords, rates: TryRates | None = None) -> AccountService:
        return AccountService(
            store=self.store,
            passwords=passwords,
            tokens=self.tokens,
            devices=self.devices,
            throttle=self.throttle,
            rates=rates or TryRates(),
            clock=self.clock,
            ids=SystemIds(),
            shop_names=shop_names(["tickets.example"]),
        )

    async def registered(self, email: str = EMAIL, password: str = PASSWORD) -> Account:
        outcome = await self.accounts.register(email, password, HOME)
        assert isinstance(outcome, Registered)
        return outcome.account

    async def logged_in(self, device_token: str = "", email: str = EMAIL) -> LoggedIn:
        outcome = await self.accounts.login(email, PASSWORD, HOME, [device_token])
        assert isinstance(outcome, LoggedIn)
        return outcome

    async def guess(self, times: int, *, address: str = STRANGER, device_token: str = "") -> list[object]:
        return [await self.accounts.login(EMAIL, "wrong horse", address, [device_token]) for _ in range(times)]


@pytest.fixture
def shop(clock: MovingClock, keys: KeyRing, passwords: Passwords) -> AccountsShop:
    return AccountsShop(clock, keys, passwords)


@pytest.fixture
def hash_work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list with one entry for each verification by argon2."""
    work: list[str] = []
    verify = PasswordHasher.verify

    def spy(self: PasswordHasher, hash: str, password: str) -> bool:  # noqa: A002
        work.append(hash.rsplit("$", 2)[0])
        return verify(self, hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", spy)
    return work


async def test_a_customer_registers_logs_in_and_is_who_the_token_says(shop: AccountsShop) -> None:
    account = await shop.registered(" Ada@Example.com ")
    assert (account.email, account.role, account.created_at) == (EMAIL, Role.CUSTOMER, shop.clock.now_ms())
    assert PASSWORD not in account.password_hash
    logged_in = await shop.logged_in(email="ADA@example.com")
    identity = shop.tokens.verify(logged_in.token, shop.clock.now_ms())
    assert isinstance(identity, Identity)
    assert (identity.user_id, identity.role, identity.expires_at) == (account.id, Role.CUSTOMER, logged_in.expires_at)
    assert identity.signed_in_at == identity.issued_at == shop.clock.now_ms() // 1000 * 1000
    assert logged_in.account == account
    assert await shop.accounts.me(account.id) == account
    assert await shop.accounts.me("0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000") == AccountNotFound()


async def test_of_two_registrations_at_once_one_wins(shop: AccountsShop) -> None:
    outcomes = await asyncio.gather(*(shop.accounts.register(EMAIL, PASSWORD, HOME) for _ in range(20)))
    assert sum(isinstance(outcome, Registered) for outcome in outcomes) == 1
    assert outcomes.count(EmailTaken()) == 19
    assert len(shop.store._accounts) == 1


@pytest.mark.parametrize(
    ("email", "password", "field"),
    [("ada", PASSWORD, "email"), (EMAIL, "short", "password"), (EMAIL, "p" * 1_000_000, "password")],
)
async def test_bad_input_names_its_field_and_changes_nothing(
    shop: AccountsShop, email: str, password: str, field: str
) -> None:
    for outcome in (
        await shop.accounts.register(email, password, HOME),
        await shop.accounts.create_admin(email, password),
    ):
        assert isinstance(outcome, InvalidField)
        assert outcome.field == field
    assert shop.store._accounts == {}
    assert len(shop.throttle._full_at) == 0


async def test_bad_input_to_login_is_refused_before_any_work(shop: AccountsShop, hash_work: list[str]) -> None:
    assert isinstance(await shop.accounts.login("ada", PASSWORD, HOME, ()), InvalidField)
    assert isinstance(await shop.accounts.login(EMAIL, "p" * 1_000_000, HOME, ()), InvalidField)
    assert hash_work == []
    assert await shop.accounts.login(EMAIL, "", HOME, ()) == WrongCredentials()


async def test_a_weak_password_is_refused_for_customers_and_admins_and_takes_no_try(shop: AccountsShop) -> None:
    for register in (shop.accounts.create_admin, lambda email, password: shop.accounts.register(email, password, HOME)):
        for password in ("password", "12345678", EMAIL, "FlashReserve", "Tickets2026"):
            refused = await register(EMAIL, password)
            assert isinstance(refused, InvalidField)
            assert refused.field == "password"
    assert shop.throttle._full_at == {}
    # Only new passwords are checked; an account that has a weak one can log in.
    assert await shop.accounts.login(EMAIL, "password", HOME, ()) == WrongCredentials()


async def test_unknown_email_and_wrong_password_get_the_same_answer_for_the_same_work(
    shop: AccountsShop, hash_work: list[str]
) -> None:
    await shop.registered()
    wrong = await shop.accounts.login(EMAIL, "wrong horse", HOME, ())
    unknown = await shop.accounts.login("eve@example.com", "wrong horse", HOME, ())
    assert wrong == unknown == WrongCredentials()
    assert len(hash_work) == 2
    assert hash_work[0] == hash_work[1]


async def test_unknown_emails_are_throttled_as_known_ones_are(shop: AccountsShop) -> None:
    await shop.registered()
    answers = {}
    for email in (EMAIL, "eve@example.com"):
        answers[email] = [await shop.accounts.login(email, "wrong horse", STRANGER, ()) for _ in range(15)]
    assert answers[EMAIL] == answers["eve@example.com"]
    assert answers[EMAIL][9:11] == [WrongCredentials(), TooManyTries(60)]


async def test_of_1000_parallel_guesses_the_burst_is_looked_at(shop: AccountsShop, hash_work: list[str]) -> None:
    await shop.registered()
    outcomes = await asyncio.gather(*(shop.accounts.login(EMAIL, f"guess {n}", STRANGER, ()) for n in range(1_000)))
    assert outcomes.count(WrongCredentials()) == 10
    assert outcomes.count(TooManyTries(60)) == 990
    assert len(hash_work) == 10


async def test_guesses_from_everywhere_are_bounded_together(shop: AccountsShop, hash_work: list[str]) -> None:
    await shop.registered()
    outcomes = await asyncio.gather(
        *(shop.accounts.login(EMAIL, f"guess {n}", f"192.0.{n // 250}.{n % 250}", ()) for n in range(1_500))
    )
    assert outcomes.count(WrongCredentials()) == len(hash_work) == 1_000
    assert outcomes.count(TooManyTries(10)) == 500


async def test_a_stranger_does_not_lock_the_owner_out_on_a_new_device(shop: AccountsShop) -> None:
    """Only the stranger's own network is refused, even if the guessing goes on for long."""
    await shop.registered()
    for _ in range(30):
        assert isinstance((await shop.guess(11))[-1], TooManyTries)
        await shop.logged_in()
        shop.clock.advance(60)


@pytest.mark.parametrize(("prefix", "guesses"), [(64, 10), (56, 20), (48, 40)])
async def test_an_ipv6_stranger_s_networks_are_counted_as_wholes(shop: AccountsShop, prefix: int, guesses: int) -> None:
    await shop.registered()
    network = IPv6Network(f"2001:db8:1::/{prefix}")
    wide = [str(network[n * (network.num_addresses // 256)]) for n in range(256)]
    outcomes = [await shop.accounts.login(EMAIL, "wrong horse", address, ()) for address in wide]
    assert outcomes.count(WrongCredentials()) == guesses
    await shop.logged_in()


async def test_right_passwords_cost_a_wider_allowance(shop: AccountsShop, passwords: Passwords) -> None:
    rates = TryRates(login_address_work=Rate(3, 1_000), login_device_work=Rate(4, 1_000))
    shop.accounts = shop.service(passwords, rates)
    await shop.registered()
    await shop.registered("eve@example.com")
    device_token = (await shop.logged_in()).device_token
    for email in (EMAIL, "eve@example.com"):
        await shop.logged_in(email=email)
    assert await shop.accounts.login(EMAIL, PASSWORD, HOME, ()) == TooManyTries(1)
    assert isinstance(await shop.accounts.login(EMAIL, PASSWORD, "198.51.100.2", ()), LoggedIn)
    for _ in range(4):
        device_token = (await shop.logged_in(device_token)).device_token
    assert await shop.accounts.login(EMAIL, PASSWORD, HOME, [device_token]) == TooManyTries(1)
    shop.clock.advance(1)
    await shop.logged_in(device_token)
    await shop.logged_in()


async def test_a_right_password_past_the_burst_is_not_looked_at(shop: AccountsShop, hash_work: list[str]) -> None:
    await shop.registered()
    await shop.guess(10)
    hash_work.clear()
    assert await shop.accounts.login(EMAIL, PASSWORD, STRANGER, ()) == TooManyTries(60)
    assert hash_work == []
    shop.clock.advance(60)
    assert isinstance(await shop.accounts.login(EMAIL, PASSWORD, STRANGER, ()), LoggedIn)


async def test_strangers_guesses_don_t_lock_the_owner_s_device_out(shop: AccountsShop) -> None:
    await shop.registered()
    device_token = (await shop.logged_in()).device_token
    await shop.guess(100)
    assert isinstance(await shop.accounts.login(EMAIL, PASSWORD, STRANGER, ()), TooManyTries)
    for _ in range(50):
        device_token = (await shop.logged_in(device_token)).device_token


async def test_a_stranger_behind_the_owner_s_address_doesn_t_lock_the_device_out(shop: AccountsShop) -> None:
    await shop.registered()
    device_token = (await shop.logged_in()).device_token
    for number in range(60):
        await shop.accounts.login(f"user{number}@example.com", "wrong horse", HOME, ())
    assert isinstance(await shop.accounts.login("eve@example.com", PASSWORD, HOME, ()), TooManyTries)
    await shop.logged_in(device_token)


async def test_guesses_from_a_device_are_throttled_by_a_bucket_of_its_own(
    shop: AccountsShop, hash_work: list[str]
) -> None:
    await shop.registered()
    device_token = (await shop.logged_in()).device_token
    # Renewing the token doesn't give the device more tries.
    await shop.guess(5, device_token=device_token)
    device_token = (await shop.logged_in(device_token)).device_token
    hash_work.clear()
    outcomes = await shop.guess(20, device_token=device_token)
    assert outcomes.count(WrongCredentials()) == 5
    assert outcomes[-1] == TooManyTries(60)
    assert len(hash_work) == 5
    # And the strangers' bucket is still full.
    assert (await shop.guess(20)).count(WrongCredentials()) == 10


async def test_another_account_s_device_token_is_a_stranger_s(shop: AccountsShop) -> None:
    await shop.registered()
    await shop.registered("eve@example.com")
    eves = (await shop.logged_in(email="eve@example.com")).device_token
    forged = eves[:-4] + "AAAA"
    ended = (await shop.logged_in()).token
    for device_token in (eves, forged, ended, "", "x" * 1_000_000):
        await shop.guess(2, device_token=device_token)
    assert isinstance((await shop.guess(1))[0], TooManyTries)


async def test_one_address_guessing_at_many_accounts_is_throttled(shop: AccountsShop, hash_work: list[str]) -> None:
    outcomes = [
        await shop.accounts.login(f"user{number}@example.com", "wrong horse", STRANGER, ()) for number in range(60)
    ]
    assert outcomes.count(WrongCredentials()) == len(hash_work) == 50
    assert outcomes[-1] == TooManyTries(6)


async def test_an_ipv6_customer_is_one_address_for_the_whole_64(shop: AccountsShop) -> None:
    outcomes = [
        await shop.accounts.login(f"user{n}@example.com", "wrong horse", f"2001:db8:1:2::{n:x}", ()) for n in range(60)
    ]
    assert outcomes.count(WrongCredentials()) == 50


@pytest.mark.parametrize(("prefix", "guesses"), [(56, 200), (48, 800)])
async def test_wider_networks_have_wider_allowances(
    shop: AccountsShop, hash_work: list[str], prefix: int, guesses: int
) -> None:
    network = IPv6Network(f"2001:db8:1::/{prefix}")
    for n in range(1_000):
        address = str(network[(n % 250) * (network.num_addresses // 256)])
        await shop.accounts.login(f"user{n}@example.com", "wrong horse", address, ())
    assert len(hash_work) == guesses


async def test_a_6to4_customer_is_its_ipv4_address(shop: AccountsShop) -> None:
    outcomes = [
        await shop.accounts.login(f"user{n}@example.com", "wrong horse", f"2002:cb00:7142:{n:x}::1", ())
        for n in range(60)
    ]
    assert outcomes.count(WrongCredentials()) == 50
    assert isinstance(await shop.accounts.login("eve@example.com", PASSWORD, STRANGER, ()), TooManyTries)


async def test_right_passwords_use_no_tries_up(shop: AccountsShop) -> None:
    await shop.registered()
    for _ in range(60):
        await shop.logged_in()
    assert all(key.startswith(("register ", "login work ")) for key in shop.throttle._full_at)


async def test_without_an_address_the_account_is_throttled_all_the_same(shop: AccountsShop) -> None:
    await shop.registered()
    outcomes = [await shop.accounts.login(EMAIL, "wrong horse", None, ()) for _ in range(15)]
    assert outcomes.count(WrongCredentials()) == 10


async def test_registrations_are_throttled_by_address(shop: AccountsShop, passwords: Passwords) -> None:
    accounts = shop.service(passwords, TryRates(register_address=Rate(burst=2, every_ms=5_000)))
    outcomes = [await accounts.register(f"user{number}@example.com", PASSWORD, STRANGER) for number in range(4)]
    assert [type(outcome) for outcome in outcomes] == [Registered, Registered, TooManyTries, TooManyTries]
    assert outcomes[-1] == TooManyTries(5)
    assert isinstance(await accounts.register(EMAIL, PASSWORD, HOME), Registered)
    assert len(shop.store._accounts) == 3


async def test_the_shop_is_not_counted_by_address_but_by_account(shop: AccountsShop) -> None:
    """All customers who sign in through the shop's backend may come from its one address."""
    for number in range(120):
        email = f"user{number}@example.com"
        assert isinstance(await shop.accounts.register(email, PASSWORD, STRANGER, by_shop=True), Registered)
        assert await shop.accounts.login(email, "wrong horse", STRANGER, (), by_shop=True) == WrongCredentials()
    await shop.registered()
    guesses = [await shop.accounts.login(EMAIL, "wrong horse", STRANGER, (), by_shop=True) for _ in range(12)]
    assert guesses == [WrongCredentials()] * 10 + [TooManyTries(60)] * 2
    assert isinstance(await shop.accounts.login("user0@example.com", PASSWORD, STRANGER, ()), LoggedIn)


async def test_busy_takes_no_try_and_changes_nothing(
    shop: AccountsShop, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.registered()
    before = dict(shop.throttle._full_at)

    async def busy(*_: object) -> PasswordsBusy:
        return PasswordsBusy()

    monkeypatch.setattr(passwords, "verify", busy)
    monkeypatch.setattr(passwords, "hash", busy)
    for _ in range(200):
        assert await shop.accounts.login(EMAIL, PASSWORD, HOME, ()) == Busy()
        assert await shop.accounts.register("eve@example.com", PASSWORD, HOME) == Busy()
    assert await shop.accounts.create_admin("root@example.com", PASSWORD) == Busy()
    assert shop.throttle._full_at == before
    assert len(shop.store._accounts) == 1


async def test_a_login_after_parameters_rose_stores_a_new_hash(shop: AccountsShop) -> None:
    account = await shop.registered()
    stronger = Passwords(threads=1, waiting_max=1, cost=Argon2Cost(memory_kib=16, passes=2))
    accounts = shop.service(stronger)
    assert await accounts.login(EMAIL, "wrong horse", HOME, ()) == WrongCredentials()
    assert shop.store._accounts[account.id].password_hash == account.password_hash
    assert isinstance(await accounts.login(EMAIL, PASSWORD, HOME, ()), LoggedIn)
    rehashed = shop.store._accounts[account.id].password_hash
    assert "m=16,t=2," in rehashed
    assert isinstance(await accounts.login(EMAIL, PASSWORD, HOME, ()), LoggedIn)
    assert shop.store._accounts[account.id].password_hash == rehashed
    stronger.close()


async def test_a_password_changed_meanwhile_is_not_overwritten_by_the_new_hash(
    shop: AccountsShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await shop.registered()
    other = (await shop.registered("eve@example.com", "another horse")).password_hash
    stronger = Passwords(threads=1, waiting_max=1, cost=Argon2Cost(memory_kib=16, passes=1))

    async def change() -> None:
        await shop.store.replace_password_hash(account.id, account.password_hash, other)

    _do_while_verifying(monkeypatch, stronger, change)
    assert await shop.service(stronger).login(EMAIL, PASSWORD, HOME, ()) == WrongCredentials()
    assert shop.store._accounts[account.id].password_hash == other
    stronger.close()


async def test_a_right_password_is_not_called_wrong_because_its_hash_changes_again_and_again(
    shop: AccountsShop, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await shop.registered()

    async def rehash() -> None:
        fresh = await passwords.hash(PASSWORD, ())
        assert isinstance(fresh, str)
        before = shop.store._accounts[account.id].password_hash
        assert await shop.store.replace_password_hash(account.id, before, fresh)

    _do_while_verifying(monkeypatch, passwords, rehash)
    assert await shop.accounts.login(EMAIL, PASSWORD, HOME, ()) == Busy()


def _do_while_verifying(
    monkeypatch: pytest.MonkeyPatch, passwords: Passwords, act: Callable[[], Awaitable[object]]
) -> None:
    """Let another request act while a sign-in verifies its password: after it has read the account."""
    verify = passwords.verify

    async def verify_meanwhile(stored_hash: str | None, password: str, parties: Sequence[str]) -> object:
        verification = await verify(stored_hash, password, parties)
        await act()
        return verification

    monkeypatch.setattr(passwords, "verify", verify_meanwhile)


async def test_an_account_that_is_disabled_while_it_signs_in_gets_no_token(
    shop: AccountsShop, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await shop.registered()
    _do_while_verifying(
        monkeypatch, passwords, lambda: shop.store.restrict(account.id, Restriction.DISABLED, shop.clock.now_ms())
    )
    assert await shop.accounts.login(EMAIL, PASSWORD, HOME, ()) == WrongCredentials()


async def test_an_account_that_is_signed_out_while_it_signs_in_gets_a_later_token(
    shop: AccountsShop, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await shop.registered()
    _do_while_verifying(monkeypatch, passwords, lambda: shop.store.sign_out(account.id, shop.clock.now_ms()))
    identity = shop.tokens.verify((await shop.logged_in()).token, shop.clock.now_ms())
    sign_outs = SignOuts()
    sign_outs.learn(await shop.store.signed_out_since(0, 9), 9)
    assert isinstance(identity, Identity)
    assert not sign_outs.refuse(identity)


async def test_two_who_sign_in_while_the_hash_is_renewed_both_do(
    shop: AccountsShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await shop.registered()
    stronger = Passwords(threads=1, waiting_max=2, cost=Argon2Cost(memory_kib=16, passes=1))
    renewed = await stronger.hash(PASSWORD, (HOME,))
    assert isinstance(renewed, str)
    _do_while_verifying(
        monkeypatch,
        stronger,
        lambda: shop.store.replace_password_hash(account.id, account.password_hash, renewed),
    )
    assert isinstance(await shop.service(stronger).login(EMAIL, PASSWORD, HOME, ()), LoggedIn)
    assert shop.store._accounts[account.id].password_hash == renewed
    stronger.close()


async def test_an_admin_is_made_by_the_command_line_and_its_token_says_so(shop: AccountsShop) -> None:
    outcome = await shop.accounts.create_admin(EMAIL, PASSWORD)
    assert isinstance(outcome, Registered)
    assert outcome.account.role is Role.ADMIN
    assert await shop.accounts.is_admin(outcome.account.id)
    identity = shop.tokens.verify((await shop.logged_in()).token, shop.clock.now_ms())
    assert isinstance(identity, Identity)
    assert identity.role is Role.ADMIN
    assert await shop.accounts.create_admin(EMAIL, PASSWORD) == EmailTaken()


async def test_a_promotion_and_a_demotion_hold_at_once(shop: AccountsShop) -> None:
    account = await shop.registered()
    assert not await shop.accounts.is_admin(account.id)
    for _ in range(2):
        promoted = await shop.accounts.promote("ADA@example.com")
        assert promoted == Promoted(msgspec.structs.replace(account, role=Role.ADMIN, trail_n=1))
        assert await shop.accounts.is_admin(account.id)
    await shop.store.set_role(account.id, Role.CUSTOMER, at=1)
    assert not await shop.accounts.is_admin(account.id)


async def test_nobody_is_no_admin_and_can_t_be_promoted(shop: AccountsShop) -> None:
    assert not await shop.accounts.is_admin("0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000")
    assert await shop.accounts.promote(EMAIL) == AccountNotFound()
    assert isinstance(await shop.accounts.promote("ada"), InvalidField)


async def test_a_printed_outcome_shows_no_token_and_no_hash(shop: AccountsShop) -> None:
    registered = await shop.accounts.register(EMAIL, PASSWORD, HOME)
    logged_in = await shop.logged_in()
    promoted = await shop.accounts.promote(EMAIL)
    printed = f"{registered!r} {registered} {logged_in!r} {logged_in} {promoted!r}"
    for secret in (logged_in.token, logged_in.device_token, logged_in.account.password_hash):
        assert secret not in printed
