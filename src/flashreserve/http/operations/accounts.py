"""Accounts: register, sign in, sign out."""

from typing import Final

from flashreserve.http import bodies, views
from flashreserve.http.operations.examples import ACCOUNT, EMAIL, PASSWORD
from flashreserve.http.operations.operation import Body, Operation, Success

ACCOUNTS: Final = (
    Operation(
        name="register",
        method="post",
        path="/auth/register",
        tag="Accounts",
        summary="Make a customer's account",
        description="The account is a customer's: admins are made by `flashreserve admin create`.",
        who="anyone",
        body=Body(bodies.RegistrationBody, {"email": "grace@example.com", "password": PASSWORD}),
        successes=(Success(201, "The account.", views.AccountView, {**ACCOUNT, "email": "grace@example.com"}),),
        codes=("email-taken", "too-many-tries"),
    ),
    Operation(
        name="login",
        method="post",
        path="/auth/login",
        tag="Accounts",
        summary="Sign in",
        description=(
            "The token comes in the body and in an HTTP-only cookie: `token`, in production `__Host-token`. A second"
            " cookie, `device`, marks the owner's browser: its tries are counted apart from strangers'. It gives no"
            " access."
        ),
        who="anyone",
        body=Body(bodies.CredentialsBody, {"email": EMAIL, "password": PASSWORD}),
        successes=(
            Success(
                200,
                "The token.",
                views.TokenView,
                {"token": "eyJhbGciOiJIUzI1NiIs…", "expiresAt": "2026-11-23T11:00:00.000Z"},
                headers=("Set-Cookie",),
            ),
        ),
        codes=("unauthenticated", "too-many-tries"),
    ),
    Operation(
        name="logout",
        method="post",
        path="/auth/logout",
        tag="Accounts",
        summary="Sign out",
        description="The browser deletes its cookie. The token itself stays valid until it expires.",
        who="anyone",
        successes=(Success(204, "The cookie is gone.", headers=("Set-Cookie",)),),
    ),
    Operation(
        name="me",
        method="get",
        path="/auth/me",
        tag="Accounts",
        summary="The account that is signed in",
        who="signed-in",
        successes=(Success(200, "The account.", views.AccountView, ACCOUNT),),
        codes=("not-found",),
    ),
)
