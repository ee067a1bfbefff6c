"""Accounts: registering, signing in, and checking who is an admin."""

from collections.abc import Sequence
from typing import Final

import msgspec

from flashreserve.auth.address import NOWHERE, address_groups, parties
from flashreserve.auth.devices import Device, DeviceTokens
from flashreserve.auth.emails import normalised_email
from flashreserve.auth.outcomes import (
    AccountNotFound,
    Busy,
    CreationOutcome,
    EmailTaken,
    InvalidField,
    LoggedIn,
    LoginOutcome,
    Promoted,
    PromotionOutcome,
    Registered,
    RegistrationOutcome,
    WrongCredentials,
)
from flashreserve.auth.passwords import Passwords, PasswordsBusy, new_password, normalised_password
from flashreserve.auth.throttle import Bucket, Throttle, TryRates, by_address
from flashreserve.auth.tokens import Tokens
from flashreserve.auth.weak_passwords import refusal_of_weak
from flashreserve.clock import Clock, Ids
from flashreserve.core.model import Account, Role
from flashreserve.stores.outages import after_a_change
from flashreserve.stores.port import AccountStore


class AccountService:
    """Registers, signs in and promotes accounts. Outcomes are values; only a database outage raises."""

    def __init__(
        self,
        *,
        store: AccountStore,
        passwords: Passwords,
        tokens: Tokens,
        devices: DeviceTokens,
        throttle: Throttle,
        rates: TryRates,
        clock: Clock,
        ids: Ids,
        shop_names: Sequence[str],
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._tokens = tokens
        self._devices = devices
        self._throttle = throttle
        self._rates = rates
        self._clock = clock
        self._ids = ids
        self._shop_names = shop_names

    async def register(
        self, email: str, password: str, address: str | None, *, by_shop: bool = False
    ) -> RegistrationOutcome:
        """Make a customer's account. Of two concurrent registrations of one e-mail address, one succeeds.

        `address` is the client's, None if it has none. Every registration counts against its allowance, even a
        successful one, because each makes an account. A request `by_shop` counts against none: a program of the shop's
        sent it, from whose address all customers come.
        """
        valid = self._valid(email, password)
        if isinstance(valid, InvalidField):
            return valid
        groups = address_groups(address)
        buckets = by_address("register", () if by_shop else groups, self._rates.register_address)
        refused = await self._throttle.take(buckets)
        if refused is not None:
            return refused
        outcome = await self._create(*valid, Role.CUSTOMER, parties(groups))
        if isinstance(outcome, Busy):
            await self._throttle.give_back(buckets)
        return outcome

    async def login(
        self,
        email: str,
        password: str,
        address: str | None,
        device_tokens: Sequence[str],
        *,
        by_shop: bool = False,
    ) -> LoginOutcome:
        """Sign in: a token for the owner of the password.

        An unknown e-mail address gets the same answer, after the same work and under the same throttling, as a wrong
        password. `device_tokens` are those that the browser has of earlier logins. Invalid ones are ignored, and so are
        those of other accounts. A try `by_shop` counts against the account, but not against the address.
        """
        known_email, known_password = normalised_email(email), normalised_password(password)
        if isinstance(known_email, InvalidField):
            return known_email
        if isinstance(known_password, InvalidField):
            return known_password
        account = await self._store.account_by_email(known_email)
        # Also done for unknown e-mail addresses, because the time of decoding a long device token can be measured.
        now_ms = self._clock.now_ms()
        devices = [device for token in device_tokens if (device := self._devices.read(token, now_ms)) is not None]
        device = next((device for device in devices if account is not None and device.account_id == account.id), None)
        groups = address_groups(address)
        allowance = self._allowance(known_email, groups, device, by_shop=by_shop)
        refused = await self._throttle.take(allowance.all)
        if refused is not None:
            return refused
        return await self._tried(account, known_password, parties(groups), device, allowance)

    async def me(self, user_id: str) -> Account | AccountNotFound:
        """The account of a token, as the database has it now."""
        return await self._store.account_by_id(user_id) or AccountNotFound()

    async def is_admin(self, user_id: str) -> bool:
        """Whether the account is an admin's now. This is never cached: a demotion counts from the next request on."""
        account = await self._store.account_by_id(user_id)
        return account is not None and account.role is Role.ADMIN and account.disabled_at is None

    async def create_admin(self, email: str, password: str) -> CreationOutcome:
        """Make an admin's account, for the command line: nothing is throttled."""
        valid = self._valid(email, password)
        if isinstance(valid, InvalidField):
            return valid
        return await self._create(*valid, Role.ADMIN, (NOWHERE,))

    async def promote(self, email: str) -> PromotionOutcome:
        """Make an existing account an admin's. The caller has checked that this is allowed."""
        known_email = normalised_email(email)
        if isinstance(known_email, InvalidField):
            return known_email
        account = await self._store.account_by_email(known_email)
        if account is None or not await self._store.set_role(account.id, Role.ADMIN, self._clock.now_ms()):
            return AccountNotFound()
        with after_a_change():
            return Promoted(await self._store.account_by_id(account.id) or account)

    def _valid(self, email: str, password: str) -> tuple[str, str] | InvalidField:
        """The e-mail address and the password of a new account, as they are stored and hashed."""
        known_email, chosen = normalised_email(email), new_password(password)
        if isinstance(known_email, InvalidField):
            return known_email
        if isinstance(chosen, InvalidField):
            return chosen
        return refusal_of_weak(chosen, known_email, self._shop_names) or (known_email, chosen)

    async def _create(self, email: str, password: str, role: Role, parties: Sequence[str]) -> CreationOutcome:
        password_hash = await self._passwords.hash(password, parties)
        if isinstance(password_hash, PasswordsBusy):
            return Busy()
        account = Account(
            id=self._ids.new(),
            email=email,
            role=role,
            password_hash=password_hash,
            created_at=self._clock.now_ms(),
        )
        return Registered(account) if await self._store.add_account(account) else EmailTaken()

    async def _tried(
        self,
        account: Account | None,
        password: str,
        parties: Sequence[str],
        device: Device | None,
        allowance: "_Allowance",
    ) -> LoginOutcome:
        """The outcome of a try. It is counted already, and uncounted if the password was right or wasn't checked.

        Hashing is slow. So the account is read again after it, and verified again if it has another hash by then.
        """
        for _ in range(_VERIFIED_MAX):
            verification = await self._passwords.verify(account.password_hash if account else None, password, parties)
            if isinstance(verification, PasswordsBusy):
                await self._throttle.give_back(allowance.all)
                return Busy()
            if account is None or not verification.ok or account.disabled_at is not None:
                return WrongCredentials()
            now_ms = self._clock.now_ms()  # Before reading: a sign-out after the read then refuses the token.
            verified, account = account.password_hash, await self._store.account_by_id(account.id)
            if account is not None and account.disabled_at is None and account.password_hash == verified:
                await self._throttle.give_back(allowance.tries)
                if verification.rehashed is not None:
                    # Not replaced if the password was changed in the meantime: the new one's hash stays.
                    await self._store.replace_password_hash(account.id, verified, verification.rehashed)
                return self._logged_in(account, device, now_ms)
        await self._throttle.give_back(allowance.tries)
        return Busy()

    def _logged_in(self, account: Account, device: Device | None, now_ms: int) -> LoggedIn:
        after_ms = -1 if account.signed_out_at is None else account.signed_out_at
        access = self._tokens.issue(account.id, account.role, now_ms, after_ms)
        # A known device keeps its id, and with it its bucket of tries: signing in again gives it no new tries.
        device = device or Device(account_id=account.id, id=self._ids.new())
        renewed = self._devices.issue(device, now_ms)
        return LoggedIn(
            token=access.token,
            expires_at=access.expires_at,
            account=account,
            device_token=renewed.token,
            device_expires_at=renewed.expires_at,
        )

    def _allowance(self, email: str, groups: Sequence[str], device: Device | None, *, by_shop: bool) -> "_Allowance":
        """The buckets of a try: a known device's own, or for all others those of the account and their address.

        A known device isn't counted by its address, because a stranger behind the same address could then lock its
        owner out. The cost of its hashing is counted by the account, because a browser becomes a known device only by a
        right password.
        """
        rates = self._rates
        if device is not None:
            return _Allowance(
                [Bucket(f"login device {device.account_id} {device.id}", rates.login_device)],
                [Bucket(f"login work account {device.account_id}", rates.login_device_work)],
            )
        by_account = [
            Bucket(f"login account {email} from {group}", rates.login_account.times(factor))
            for group, factor in zip(groups or [NOWHERE], _ACCOUNT_FACTORS, strict=False)
        ]
        everywhere = Bucket(f"login account {email}", rates.login_account_everywhere)
        counted = () if by_shop else groups
        return _Allowance(
            [*by_account, everywhere, *by_address("login", counted, rates.login_address)],
            by_address("login work", counted, rates.login_address_work),
        )


class _Allowance(msgspec.Struct, frozen=True):
    """The buckets of one sign-in: of tries, which a right password gives back, and of the work of hashing."""

    tries: Sequence[Bucket]
    work: Sequence[Bucket]

    @property
    def all(self) -> Sequence[Bucket]:
        return [*self.tries, *self.work]


_VERIFIED_MAX: Final = 3
"""How often one sign-in verifies its password, at most: again only if the hash has been changed meanwhile."""

_ACCOUNT_FACTORS: Final = (1, 2, 4)
"""Factors of an account's allowance for wider address groups. Few devices of its owner share a /48."""
