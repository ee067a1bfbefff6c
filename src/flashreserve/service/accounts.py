"""Accounts: registering, signing in, and who is an admin."""

from collections.abc import Sequence

from flashreserve.auth.address import throttled_as
from flashreserve.auth.devices import Device, DeviceTokens
from flashreserve.auth.emails import normalised_email
from flashreserve.auth.outcomes import (
    AccountNotFound,
    Busy,
    Creating,
    EmailTaken,
    InvalidField,
    LoggedIn,
    LoggingIn,
    Promoted,
    Promoting,
    Registered,
    Registering,
    WrongCredentials,
)
from flashreserve.auth.passwords import Passwords, PasswordsBusy, new_password, normalised_password
from flashreserve.auth.throttle import Bucket, Rate, Throttle, TryRates
from flashreserve.auth.tokens import Tokens
from flashreserve.clock import Clock, Ids
from flashreserve.core.model import Account, Role
from flashreserve.stores.port import AccountStore


class AccountService:
    """What can be asked about accounts. Outcomes are values; only a store that is away raises."""

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
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._tokens = tokens
        self._devices = devices
        self._throttle = throttle
        self._rates = rates
        self._clock = clock
        self._ids = ids

    async def register(self, email: str, password: str, address: str | None) -> Registering:
        """A new customer's account. Two at once for one email: the store lets one of them win.

        `address` is the client's, None when there is none. Every registration counts against it, successful or not:
        here it is the success that costs us.
        """
        valid = _valid(email, password)
        if isinstance(valid, InvalidField):
            return valid
        buckets = _by_address("register", address, self._rates.register_address)
        refused = await self._throttle.take(buckets)
        if refused is not None:
            return refused
        outcome = await self._create(*valid, Role.CUSTOMER)
        if isinstance(outcome, Busy):
            await self._throttle.give_back(buckets)
        return outcome

    async def login(self, email: str, password: str, address: str | None, device_tokens: Sequence[str]) -> LoggingIn:
        """A token for whoever knows the password.

        An unknown email gets the same answer, after the same work and under the same throttling, as a wrong password.
        `device_tokens` are what earlier logins gave to this browser, as far as it sends them; bad ones are ignored, and
        so are those of other accounts.
        """
        known_email, known_password = normalised_email(email), normalised_password(password)
        if isinstance(known_email, InvalidField):
            return known_email
        if isinstance(known_password, InvalidField):
            return known_password
        account = await self._store.account_by_email(known_email)
        # Read for unknown emails too: a long device token takes long enough to read that its absence would show.
        now_ms = self._clock.now_ms()
        devices = [device for token in device_tokens if (device := self._devices.read(token, now_ms)) is not None]
        device = next((device for device in devices if account is not None and device.account_id == account.id), None)
        buckets = self._login_buckets(known_email, address, device)
        refused = await self._throttle.take(buckets)
        if refused is not None:
            return refused
        return await self._try_password(account, known_password, device, buckets)

    async def me(self, user_id: str) -> Account | AccountNotFound:
        """The account that a token speaks for, as the database has it now."""
        return await self._store.account_by_id(user_id) or AccountNotFound()

    async def is_admin(self, user_id: str) -> bool:
        """Whether the account is an admin's right now. Never cached: a demotion holds from the next request on."""
        account = await self._store.account_by_id(user_id)
        return account is not None and account.role is Role.ADMIN

    async def create_admin(self, email: str, password: str) -> Creating:
        """A new admin's account, for the command line: nothing is throttled."""
        valid = _valid(email, password)
        if isinstance(valid, InvalidField):
            return valid
        return await self._create(*valid, Role.ADMIN)

    async def promote(self, email: str) -> Promoting:
        """Makes an existing account an admin's. The caller has made sure that whoever asks may."""
        known_email = normalised_email(email)
        if isinstance(known_email, InvalidField):
            return known_email
        account = await self._store.account_by_email(known_email)
        if account is None or not await self._store.set_role(account.id, Role.ADMIN):
            return AccountNotFound()
        return Promoted(await self._store.account_by_id(account.id) or account)

    async def _create(self, email: str, password: str, role: Role) -> Creating:
        password_hash = await self._passwords.hash(password)
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

    async def _try_password(
        self, account: Account | None, password: str, device: Device | None, buckets: Sequence[Bucket]
    ) -> LoggingIn:
        """The try is counted already; it is given back when the password was right, or wasn't looked at."""
        verification = await self._passwords.verify(account.password_hash if account else None, password)
        if isinstance(verification, PasswordsBusy):
            await self._throttle.give_back(buckets)
            return Busy()
        if account is None or not verification.ok:
            return WrongCredentials()
        await self._throttle.give_back(buckets)
        if verification.rehashed is not None:
            # Lost to a password change in the meantime: then that one's hash stays, which is right.
            await self._store.replace_password_hash(account.id, account.password_hash, verification.rehashed)
        return self._logged_in(account, device)

    def _logged_in(self, account: Account, device: Device | None) -> LoggedIn:
        now_ms = self._clock.now_ms()
        access = self._tokens.issue(account.id, account.role, now_ms)
        # A known device keeps its id, and with it its bucket: signing in again doesn't give it fresh tries.
        device = device or Device(account_id=account.id, id=self._ids.new())
        renewed = self._devices.issue(device, now_ms)
        return LoggedIn(
            token=access.token,
            expires_at=access.expires_at,
            account=account,
            device_token=renewed.token,
            device_expires_at=renewed.expires_at,
        )

    def _login_buckets(self, email: str, address: str | None, device: Device | None) -> Sequence[Bucket]:
        """A known device is counted by itself alone; all others by the account and by their address.

        The device isn't counted by its address, or a stranger behind the same one could lock its owner out.
        """
        if device is not None:
            return [Bucket(f"login device {device.account_id} {device.id}", self._rates.login_device)]
        by_account = Bucket(f"login account {email}", self._rates.login_account)
        return [by_account, *_by_address("login", address, self._rates.login_address)]


def _valid(email: str, password: str) -> tuple[str, str] | InvalidField:
    known_email, chosen = normalised_email(email), new_password(password)
    if isinstance(known_email, InvalidField):
        return known_email
    if isinstance(chosen, InvalidField):
        return chosen
    return known_email, chosen


def _by_address(what: str, address: str | None, rate: Rate) -> Sequence[Bucket]:
    """No bucket without an address: one for all who have none would let any of them lock out all the others."""
    name = throttled_as(address)
    return [] if name is None else [Bucket(f"{what} address {name}", rate)]
