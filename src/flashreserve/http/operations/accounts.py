"""Accounts: register, sign in and out, change and manage them."""

from typing import Final

from flashreserve.http import bodies, fields, views
from flashreserve.http.monitor_views import FirstAdminView
from flashreserve.http.operations.examples import ACCOUNT, EMAIL, PASSWORD
from flashreserve.http.operations.operation import Body, Operation, Parameter, Success
from flashreserve.http.operations.parameters import ACCOUNT_IN_PATH, PAGE
from flashreserve.http.problems import Code

_LINK_TOKEN: Final = Parameter("token", "query", fields.PurposeTokenText, "The token of the link.", required=True)
_TOKEN: Final = {"token": "eyJhbGciOiJIUzI1NiIs…", "expiresAt": "2026-11-23T11:00:00.000Z"}
_SHOWN: Final = {**ACCOUNT, "disabledAt": None, "signedOutAt": None}
_BY_SHOP: Final = "A request with an API key of the scope `customers` isn't counted by its address."
_LAST: Final[tuple[Code, ...]] = ("last-admin",)
_NONE: Final[tuple[Code, ...]] = ()
_ACTIONS: Final = (
    ("disableAccount", "disable", "Let an account sign in no more, and refuse its tokens", _LAST),
    ("enableAccount", "enable", "Let a disabled account sign in again", _NONE),
    ("promoteAccount", "promote", "Make an account an admin's", _NONE),
    ("demoteAccount", "demote", "Make an account a customer's, and refuse its tokens", _LAST),
    ("signOutAccount", "sign-out", "Sign an account out everywhere", _NONE),
)

ACCOUNTS: Final = (
    Operation(
        name="register",
        method="post",
        path="/auth/register",
        tag="Accounts",
        summary="Make a customer's account",
        description=f"The account is a customer's: admins are made by `flashreserve admin create`. {_BY_SHOP}",
        who="anyone",
        body=Body(bodies.RegistrationBody, {"email": "grace@example.com", "password": PASSWORD}),
        successes=(Success(201, "The account.", views.AccountView, {**ACCOUNT, "email": "grace@example.com"}),),
        codes=("unauthenticated", "forbidden", "email-taken", "too-many-tries"),
    ),
    Operation(
        name="checkFirstAdminLink",
        method="get",
        path="/auth/first-admin",
        tag="Accounts",
        summary="Whether the link that makes the first admin can be used",
        who="anyone",
        parameters=(_LINK_TOKEN,),
        successes=(Success(200, "It can.", FirstAdminView, {"open": True}),),
        codes=("link-used",),
    ),
    Operation(
        name="makeFirstAdmin",
        method="post",
        path="/auth/first-admin",
        tag="Accounts",
        summary="Make the first admin of an empty shop",
        description=(
            "By the token of the link that a server prints when it starts without any account. It is good for a day,"
            " and until there is an admin."
        ),
        who="anyone",
        body=Body(
            bodies.FirstAdminBody,
            {"token": "eyJhbGciOiJIUzI1NiIs…", "email": "me@example.com", "password": PASSWORD},
        ),
        successes=(
            Success(201, "The account.", views.AccountView, {**ACCOUNT, "email": "me@example.com", "role": "admin"}),
        ),
        codes=("email-taken", "link-used"),
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
            f" access. {_BY_SHOP}"
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
        codes=("unauthenticated", "forbidden", "too-many-tries"),
    ),
    Operation(
        name="logout",
        method="post",
        path="/auth/logout",
        tag="Accounts",
        summary="Sign out",
        description="The browser deletes the cookie that it sent. The token itself stays valid until it expires.",
        who="anyone",
        successes=(Success(204, "Set-Cookie deletes the cookie, if one was sent."),),
    ),
    Operation(
        name="refreshToken",
        method="post",
        path="/auth/refresh",
        tag="Accounts",
        summary="A fresh token for a valid one",
        description="For 12 hours after signing in.",
        who="signed-in",
        successes=(Success(200, "The token.", views.TokenView, _TOKEN, headers=("Set-Cookie",)),),
        codes=("not-found",),
    ),
    Operation(
        name="changePassword",
        method="post",
        path="/auth/password",
        tag="Accounts",
        summary="Change one's own password",
        description=(
            "Earlier tokens of the account are refused within 10 seconds. The answer has a fresh one. A wrong old"
            " password is answered 400, and the problem names `oldPassword`."
        ),
        who="signed-in",
        body=Body(bodies.PasswordBody, {"oldPassword": PASSWORD, "newPassword": "another battery, quite new"}),
        successes=(Success(200, "The token.", views.TokenView, _TOKEN, headers=("Set-Cookie",)),),
        codes=("not-found", "too-many-tries"),
    ),
    Operation(
        name="resetPassword",
        method="post",
        path="/auth/password/reset",
        tag="Accounts",
        summary="Set a new password by a reset code",
        description=(
            "An admin makes the code, and the shop sends it to the owner. It is good once, for half an hour."
            f" {_BY_SHOP}"
        ),
        who="anyone",
        body=Body(bodies.ResetBody, {"email": EMAIL, "code": "ABCDEF-GHJKMN-PQRSTV-WXYZ23", "newPassword": PASSWORD}),
        successes=(Success(204, "The password is set. Sign in with it."),),
        codes=("unauthenticated", "forbidden", "wrong-code", "too-many-tries"),
    ),
    Operation(
        name="logoutEverywhere",
        method="post",
        path="/auth/logout-everywhere",
        tag="Accounts",
        summary="Sign out in all browsers and programs",
        description="All tokens of the account that were issued so far are refused within 10 seconds.",
        who="signed-in",
        successes=(Success(204, "Signed out.", headers=("Set-Cookie",)),),
        codes=("not-found",),
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
    Operation(
        name="listAccounts",
        method="get",
        path="/accounts",
        tag="Accounts",
        summary="All accounts, oldest first",
        who="admin",
        parameters=(
            *PAGE,
            Parameter("email", "query", fields.Email, "Only the account with this e-mail address."),
        ),
        successes=(Success(200, "A page.", views.AccountPage, {"items": [_SHOWN], "nextCursor": None}),),
    ),
    Operation(
        name="getAccount",
        method="get",
        path="/accounts/{id}",
        tag="Accounts",
        summary="One account",
        who="admin",
        parameters=(ACCOUNT_IN_PATH,),
        successes=(Success(200, "The account.", views.AccountForAdminsView, _SHOWN),),
        codes=("not-found",),
    ),
    *(
        Operation(
            name=name,
            method="post",
            path=f"/accounts/{{id}}/{action}",
            tag="Accounts",
            summary=summary,
            description="A repeated request gets the same answer.",
            who="admin",
            parameters=(ACCOUNT_IN_PATH,),
            successes=(Success(200, "The account.", views.AccountForAdminsView, _SHOWN),),
            codes=("not-found", *codes),
        )
        for name, action, summary, codes in _ACTIONS
    ),
    Operation(
        name="makeResetCode",
        method="post",
        path="/accounts/{id}/reset-code",
        tag="Accounts",
        summary="Make a code for setting a new password",
        description="It replaces an earlier code. Send it to the account's owner. A disabled account gets none.",
        who="admin",
        parameters=(ACCOUNT_IN_PATH,),
        successes=(
            Success(
                201,
                "The code.",
                views.ResetCodeView,
                {"code": "ABCDEF-GHJKMN-PQRSTV-WXYZ23", "expiresAt": "2026-11-23T10:30:00.000Z"},
            ),
        ),
        codes=("not-found",),
    ),
)
