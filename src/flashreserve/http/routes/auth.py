"""Routes to register, sign in and sign out."""

from typing import Final

from litestar import Controller, Response, get, post
from litestar.datastructures import Cookie

from flashreserve.auth.outcomes import AccountNotFound, LoggedIn, Registered
from flashreserve.core.instants import format_instant
from flashreserve.http import answers, bodies, callers, reader, requests, views
from flashreserve.http.requests import HttpRequest, headers_of
from flashreserve.http.routes.replies import ServicesHere, reply
from flashreserve.http.site import Cookies

_read_registration: Final = reader.decoder(bodies.RegistrationBody)
_read_credentials: Final = reader.decoder(bodies.CredentialsBody)


class AuthRoutes(Controller):
    """`/auth`."""

    @post("/auth/register")
    async def register(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Make a customer's account."""
        asked = await requests.body(request, _read_registration)
        address = requests.client_address(request, services)
        outcome = await services.accounts.register(asked.email, asked.password, address)
        if isinstance(outcome, Registered):
            return reply(answers.ok(views.account_view(outcome.account), 201))
        return reply(answers.from_account_refusal(outcome, request.scope["path"]))

    @post("/auth/login", status_code=200)
    async def login(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Sign in. The answer has the token in its body and as a cookie."""
        asked = await requests.body(request, _read_credentials)
        address = requests.client_address(request, services)
        devices = callers.device_tokens(headers_of(request), services)
        outcome = await services.accounts.login(asked.email, asked.password, address, devices)
        if not isinstance(outcome, LoggedIn):
            return reply(answers.from_account_refusal(outcome, request.scope["path"]))
        answer = reply(answers.ok(views.TokenView(outcome.token, format_instant(outcome.expires_at))))
        now_ms, cookies = services.clock.now_ms(), services.cookies
        for name, value, expires_at, path in (
            (cookies.token, outcome.token, outcome.expires_at, "/"),
            (cookies.device, outcome.device_token, outcome.device_expires_at, cookies.device_path),
        ):
            answer.set_cookie(_cookie(cookies, name, value, max(0, (expires_at - now_ms) // 1000), path))
        return answer

    @post("/auth/logout")
    async def logout(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Sign out: the cookie is deleted."""
        await requests.no_body(request)
        answer = reply(answers.Answer(204, b""))
        answer.set_cookie(_cookie(services.cookies, services.cookies.token, "", 0, "/"))
        return answer

    @get("/auth/me")
    async def me(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The account that is signed in."""
        identity = callers.signed_in(headers_of(request), services)
        account = await services.accounts.me(identity.user_id)
        if isinstance(account, AccountNotFound):
            return reply(answers.from_account_refusal(account, request.scope["path"]))
        return reply(answers.ok(views.account_view(account)))


def _cookie(cookies: Cookies, name: str, value: str, age_s: int, path: str) -> Cookie:
    return Cookie(
        key=name,
        value=value,
        path=path,
        max_age=age_s,
        httponly=True,
        samesite="lax",
        secure=cookies.secure,
        domain=cookies.domain or None,
    )
