"""Routes for admins to list, show and change accounts."""

from collections.abc import Awaitable, Callable
from typing import assert_never

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from flashreserve.auth.outcomes import (
    AccountChanged,
    AccountDisabled,
    AccountNotFound,
    ChangeOutcome,
    InvalidField,
    ResetCodeMade,
)
from flashreserve.core.instants import format_instant
from flashreserve.core.model import Account
from flashreserve.http import answers, callers, fields, requests, views
from flashreserve.http.requests import HttpRequest, headers_of, place_of
from flashreserve.http.routes.replies import ServicesHere, reply


class AccountRoutes(Controller):
    """`/accounts`."""

    @get("/accounts")
    async def all(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """All accounts, oldest first, or the one with the email of the query."""
        await callers.manager(headers_of(request), services)
        cursor, limit = requests.page(request)
        email = requests.parameter(request, "email", fields.Email)
        if email is None:
            found = await services.account_changes.accounts(cursor, limit + 1)
            return reply(answers.ok(views.account_page(found, limit)))
        one = await services.account_changes.account_with(email)
        if isinstance(one, InvalidField):
            return reply(answers.from_account_refusal(one, place_of(request)))
        shown = [one] if isinstance(one, Account) and one.id > (cursor or "") else []
        return reply(answers.ok(views.account_page(shown, limit)))

    @get("/accounts/{id:str}")
    async def one(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """One account."""
        await callers.manager(headers_of(request), services)
        found = await services.account_changes.account(requests.path_id(id, "id"))
        if isinstance(found, AccountNotFound):
            return reply(answers.from_account_refusal(found, place_of(request)))
        return reply(answers.ok(views.account_for_admins(found)))

    @post("/accounts/{id:str}/disable", status_code=200)
    async def disable(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Let the account sign in no more."""
        return await _change(services.account_changes.disable, request, id, services)

    @post("/accounts/{id:str}/enable", status_code=200)
    async def enable(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Let a disabled account sign in again."""
        return await _change(services.account_changes.enable, request, id, services)

    @post("/accounts/{id:str}/promote", status_code=200)
    async def promote(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Make the account an admin's."""
        return await _change(services.account_changes.promote, request, id, services)

    @post("/accounts/{id:str}/demote", status_code=200)
    async def demote(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Make the account a customer's."""
        return await _change(services.account_changes.demote, request, id, services)

    @post("/accounts/{id:str}/sign-out", status_code=200)
    async def sign_out(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Sign the account out everywhere."""

        async def sign_out(account_id: str, _by: str) -> ChangeOutcome:
            return await services.account_changes.sign_out_everywhere(account_id)

        return await _change(sign_out, request, id, services)

    @post("/accounts/{id:str}/reset-code")
    async def reset_code(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Make a code by which the account's owner can set a new password."""
        await callers.manager(headers_of(request), services)
        await requests.no_body(request)
        made = await services.account_changes.make_reset_code(requests.path_id(id, "id"))
        match made:
            case ResetCodeMade(code, expires_at):
                return reply(answers.ok(views.ResetCodeView(code, format_instant(expires_at)), 201))
            case AccountDisabled():
                return reply(answers.bad_field("id", "the account is disabled; enable it first", place_of(request)))
            case AccountNotFound():
                return reply(answers.from_account_refusal(made, place_of(request)))
            case _:
                assert_never(made)


async def _change(
    change: Callable[[str, str], Awaitable[ChangeOutcome]], request: HttpRequest, id_: str, services: ServicesHere
) -> Response[bytes]:
    """Call `change` for the account. Its tokens are refused by this process at once, by others within seconds."""
    by = await callers.manager(headers_of(request), services)
    await requests.no_body(request)
    outcome = await change(requests.path_id(id_, "id"), by)
    if not isinstance(outcome, AccountChanged):
        return reply(answers.from_account_refusal(outcome, place_of(request)))
    await services.access.learn_sign_outs()
    return reply(answers.ok(views.account_for_admins(outcome.account)))
