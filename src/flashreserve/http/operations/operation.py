"""The form of an operation: one method of one path, its parameters, its body, and its answers."""

from typing import Any, Literal

import msgspec

from flashreserve.http.problems import Code

Who = Literal["anyone", "signed-in", "customer", "admin", "operator"]
"""Callers. In development everybody is an `operator`; in production, admins and holders of the metrics token are."""

Method = Literal["get", "post", "put", "patch", "delete"]
Tag = Literal["Accounts", "API keys", "Products", "Reservations", "Events", "Webhooks", "Operations"]


class Parameter(msgspec.Struct, frozen=True):
    """One value in a request's path, query or headers. `kind` is the type that it is decoded to."""

    name: str
    place: Literal["path", "query", "header"]
    kind: Any
    description: str
    required: bool = False
    example: Any = None


class Body(msgspec.Struct, frozen=True):
    """The JSON body of a request."""

    kind: type[msgspec.Struct]
    example: dict[str, Any]
    required: bool = True


class Success(msgspec.Struct, frozen=True):
    """A successful answer.

    `kind` is the type of a JSON body, `media_types` those of any other body; with neither, there is no body. `headers`
    are names of headers in `openapi.py`, and `links` names of operations that take the answer's `id`.
    """

    status: int
    description: str
    kind: type[msgspec.Struct] | None = None
    example: dict[str, Any] | None = None
    media_types: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. `codes` are its own problems, which don't follow from its other fields.

    `web_page`: it answers with the page of a web application, whose script reads the query. So any query is allowed.
    """

    name: str
    method: Method
    path: str
    tag: Tag
    summary: str
    description: str = ""
    who: Who
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    successes: tuple[Success, ...]
    codes: tuple[Code, ...] = ()
    web_page: bool = False
