"""The form of an operation: one method of one path, its parameters, its body, and its answers."""

from typing import Any, Literal

import msgspec

from flashreserve.http.problems import Code

Who = Literal["anyone", "signed-in", "customer", "admin", "operator"]
"""`operator` is anyone in development; in production, an admin or whoever has the metrics token."""

Method = Literal["get", "post", "patch", "delete"]
Tag = Literal["Accounts", "Products", "Reservations", "Operations"]


class Parameter(msgspec.Struct, frozen=True):
    """One thing that a request says in its path, query or headers; `kind` is what its value decodes to."""

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
    """An answer that says yes.

    `kind` is its JSON body; or `media_types` name bodies of other kinds; or there is none. `headers` and `links` are
    names: of the headers in `openapi.py`, and of operations that take the answer's `id`.
    """

    status: int
    description: str
    kind: type[msgspec.Struct] | None = None
    example: dict[str, Any] | None = None
    media_types: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. `codes` are the problems that are its own."""

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
