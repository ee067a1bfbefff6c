"""Routes to register, sign in and out, and to change one's own account."""

from typing import Final

from litestar import Controller, Response, get, post
from litestar.datastructures import Cookie

from flashreserve.auth.outcomes import (
    AccountChanged,
    AccountNotFound,
    LoggedIn,
    PasswordChanged,
    Registered,
    SessionOver,
)
from flashreserve.auth.tokens import Issued
from flashreserve.core.instants import format_instant
from flashreserve.http import answers, bodies, callers, fields, reader, requests, views
from flashreserve.http.answers import RefusalError, bad_request
from flashreserve.http.monitor_views import FirstAdminView
from flashreserve.http.requests import HttpRequest, headers_of, place_of
from flashreserve.http.routes.replies import ServicesHere, reply
from flashreserve.http.services import Services
from flashreserve.http.site import Cookies, cookie_values
from flashreserve.service.first_admin import LinkUsed

_read_registration: Final = reader.decoder(bodies.RegistrationBody)
_read_first_admin: Final = reader.decoder(bodies.FirstAdminBody)
_read_password: Final = reader.decoder(bodies.PasswordBody)
_read_reset: Final = reader.decoder(bodies.ResetBody)
_read_credentials: Final = reader.decoder(bodies.CredentialsBody)


class AuthRoutes(Controller):
    """`/auth`."""

    @post("/auth/register")
    async def register(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Make a customer's account."""
        by_shop = await callers.is_shop(headers_of(request), services)
        asked = await requests.body(request, _read_registration)
        address = requests.client_address(request, services)
        outcome = await services.accounts.register(asked.email, asked.password, address, by_shop=by_shop)
        if isinstance(outcome, Registered):
            return reply(answers.ok(views.account_view(outcome.account), 201))
        return reply(answers.from_account_refusal(outcome, place_of(request)))

    @get("/auth/first-admin")
    async def link(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Whether the link that makes the first admin can be used."""
        token = requests.parameter(request, "token", fields.PurposeTokenText)
        if token is None:
            raise bad_request("token", "expected that of the link")
        if not await services.first_admin.is_open(token):
            raise _link_used()
        return reply(answers.ok(FirstAdminView(open=True)))

    @post("/auth/first-admin")
    async def make_first_admin(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Make the first admin, by the link that the server printed."""
        asked = await requests.body(request, _read_first_admin)
        outcome = await services.first_admin.make(asked.token, asked.email, asked.password)
        if isinstance(outcome, LinkUsed):
            raise _link_used()
        if isinstance(outcome, Registered):
            return reply(answers.ok(views.account_view(outcome.account), 201))
        return reply(answers.from_account_refusal(outcome, place_of(request)))

    @post("/auth/login", status_code=200)
    async def login(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Sign in. The answer has the token in its body and as a cookie."""
        by_shop = await callers.is_shop(headers_of(request), services)
        asked = await requests.body(request, _read_credentials)
        address = requests.client_address(request, services)
        devices = callers.device_tokens(headers_of(request), services)
        outcome = await services.accounts.login(asked.email, asked.password, address, devices, by_shop=by_shop)
        if not isinstance(outcome, LoggedIn):
            return reply(answers.from_account_refusal(outcome, place_of(request)))
        answer = reply(answers.ok(views.TokenView(outcome.token, format_instant(outcome.expires_at))))
        now_ms, cookies = services.clock.now_ms(), services.cookies
        for name, value, expires_at, path in (
            (cookies.token, outcome.token, outcome.expires_at, cookies.path),
            (cookies.device, outcome.device_token, outcome.device_expires_at, cookies.device_path),
        ):
            answer.set_cookie(_cookie(cookies, name, value, max(0, (expires_at - now_ms) // 1000), path))
        return answer

    @post("/auth/logout")
    async def logout(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Sign out: the cookie is deleted, if it was sent.

        Browsers don't send a SameSite cookie with a form of another site, but they would let the answer delete it.
        """
        await requests.no_body(request)
        answer = reply(answers.Answer(204, b""))
        if cookie_values(headers_of(request).get(b"cookie"), services.cookies.token):
            answer.set_cookie(_cookie(services.cookies, services.cookies.token, "", 0, services.cookies.path))
        return answer

    @post("/auth/refresh", status_code=200)
    async def refresh(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """A fresh token for the owner of one that is still valid."""
        identity = await callers.account(headers_of(request), services)
        await requests.no_body(request)
        issued = await services.account_changes.refresh(identity)
        if not isinstance(issued, Issued):
            return reply(answers.from_account_refusal(issued, place_of(request)))
        return _token_reply(issued, services)

    @post("/auth/password", status_code=200)
    async def change_password(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Change one's own password. The answer has a fresh token; all earlier ones are refused."""
        identity = await callers.account(headers_of(request), services)
        asked = await requests.body(request, _read_password)
        outcome = await services.account_changes.change_password(identity, asked.old_password, asked.new_password)
        if not isinstance(outcome, PasswordChanged):
            return reply(answers.from_account_refusal(outcome, place_of(request)))
        await services.access.learn_sign_outs()
        if outcome.token is None:
            return reply(answers.from_account_refusal(SessionOver(), place_of(request)))
        return _token_reply(outcome.token, services)

    @post("/auth/password/reset")
    async def reset_password(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Set a new password by a reset code."""
        by_shop = await callers.is_shop(headers_of(request), services)
        asked = await requests.body(request, _read_reset)
        address = None if by_shop else requests.client_address(request, services)
        outcome = await services.account_changes.reset_password(asked.email, asked.code, asked.new_password, address)
        if not isinstance(outcome, PasswordChanged):
            return reply(answers.from_account_refusal(outcome, place_of(request)))
        await services.access.learn_sign_outs()
        return reply(answers.Answer(204, b""))

    @post("/auth/logout-everywhere")
    async def logout_everywhere(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Sign out in all browsers and programs."""
        identity = await callers.account(headers_of(request), services)
        await requests.no_body(request)
        outcome = await services.account_changes.sign_out_everywhere(identity.user_id)
        if not isinstance(outcome, AccountChanged):
            return reply(answers.from_account_refusal(outcome, place_of(request)))
        await services.access.learn_sign_outs()
        answer = reply(answers.Answer(204, b""))
        answer.set_cookie(_cookie(services.cookies, services.cookies.token, "", 0, services.cookies.path))
        return answer

    @get("/auth/me")
    async def me(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The account that is signed in."""
        identity = await callers.account(headers_of(request), services)
        account = await services.accounts.me(identity.user_id)
        if isinstance(account, AccountNotFound):
            return reply(answers.from_account_refusal(account, place_of(request)))
        return reply(answers.ok(views.account_view(account)))


def _token_reply(issued: Issued, services: Services) -> Response[bytes]:
    """The token in the body, and in the cookie."""
    answer = reply(answers.ok(views.TokenView(issued.token, format_instant(issued.expires_at))))
    age_s = max(0, (issued.expires_at - services.clock.now_ms()) // 1000)
    answer.set_cookie(_cookie(services.cookies, services.cookies.token, issued.token, age_s, services.cookies.path))
    return answer


def _cookie(cookies: Cookies, name: str, value: str, age_s: int, path: str) -> Cookie:
    return Cookie(
        key=name,
        value=value,
        path=path,
        max_age=age_s,
        httponly=True,
        samesite=cookies.same_site,
        secure=cookies.secure,
        domain=cookies.domain or None,
    )


def _link_used() -> RefusalError:
    return RefusalError("link-used", "start the server again for a new link, or run `flashreserve admin create`")
