"""Makes the OpenAPI document from the table of operations, the bodies, the views and the kinds of problems."""

from collections.abc import Iterable, Sequence
from functools import cache
from inspect import cleandoc
from typing import Any, Final

import msgspec

from flashreserve import __version__
from flashreserve.core.events import EventType
from flashreserve.http.event_schemas import VIEWS
from flashreserve.http.operations import OPERATIONS
from flashreserve.http.operations.event_examples import EVENTS
from flashreserve.http.operations.examples import RESERVATION_ID
from flashreserve.http.operations.operation import Body, Operation, Parameter, Success
from flashreserve.http.places import Place
from flashreserve.http.problems import CONTENT_TYPE, KINDS, Code, FieldError, Problem, problem
from flashreserve.http.site import Cookies

JSON: Final = "application/json"
Schema = dict[str, Any]

EVERY: Final[tuple[Code, ...]] = (
    "bad-request",
    "request-timeout",
    "too-large",
    "uri-too-long",
    "headers-too-large",
    "internal",
    "unavailable",
    "outcome-unknown",
)
"""Problems that any request may get."""


def document(cookies: Cookies, prefix: str, *, production: bool) -> bytes:
    """The document as JSON. In production it says that docs and metrics are closed to the public."""
    return msgspec.json.encode(tree(cookies, prefix, production=production))


def tree(cookies: Cookies, prefix: str, *, production: bool) -> Schema:
    """The document before it is encoded. `prefix` stands before the paths, see `places.Place`."""
    schemes = {**_SECURITY_SCHEMES, "cookie": {**_SECURITY_SCHEMES["cookie"], "name": cookies.token}}
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "FlashReserve",
            "version": __version__,
            "summary": "Sells scarce stock to a crowd: never oversold, never leaked.",
            "description": _DESCRIPTION + _table_of_problems(),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": prefix or "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "security": [],  # Everybody may call an operation that names no callers.
        "paths": _paths(production=production),
        "webhooks": {type_.value: {"post": _webhook(type_)} for type_ in EventType},
        "components": {
            "securitySchemes": schemes if production else _without(schemes, "metricsToken"),
            "schemas": _schemas(),
            "headers": HEADERS,
            "responses": _problem_responses(production=production),
        },
    }


def codes_of(operation: Operation, *, production: bool) -> list[Code]:
    """All problems of an operation: its own, and those that follow from its method, body and callers."""
    codes = {*EVERY, *operation.codes}
    if operation.method != "get":
        codes.add("cross-site")
    if operation.body is not None:
        codes.add("unsupported-media-type")
    if operation.who != "anyone" and (production or operation.who != "operator"):
        codes |= {"unauthenticated", "forbidden"}  # An API key may lack a scope, wherever somebody is signed in.
        if operation.who == "operator":
            codes.add("too-many-tries")
    return [code for code in KINDS if code in codes]


def _paths(*, production: bool) -> dict[str, Schema]:
    paths: dict[str, Schema] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, production=production)
    return paths


def _operation(operation: Operation, *, production: bool) -> Schema:
    shape: Schema = {"operationId": operation.name, "tags": [operation.tag], "summary": operation.summary}
    if operation.description:
        shape["description"] = operation.description
    shape["security"] = _security(operation, production=production)
    if operation.parameters:
        shape["parameters"] = [_parameter(parameter) for parameter in operation.parameters]
    if operation.body is not None:
        shape["requestBody"] = _request_body(operation.body)
    shape["responses"] = {str(success.status): _success(success) for success in operation.successes}
    for codes in _by_status(codes_of(operation, production=production)):
        shape["responses"][str(KINDS[codes[0]].status)] = {"$ref": f"#/components/responses/{_name(codes)}"}
    return shape


def _webhook(type_: EventType) -> Schema:
    """The request by which a shop is told of an event of this type."""
    view = VIEWS[type_]
    content = {"schema": {"allOf": [_reference(view), _PREVIOUS]}, "example": {**EVENTS[type_], "previous": None}}
    return {
        "tags": ["Webhooks"],
        "summary": cleandoc(view.__doc__ or ""),
        "security": [],
        "parameters": [_header_of_delivery(name, text) for name, text in _OF_DELIVERIES.items()],
        "requestBody": {"required": True, "content": {JSON: content}},
        "responses": {"2XX": {"description": "The shop has the event, and isn't sent it again."}},
    }


def _header_of_delivery(name: str, description: str) -> Schema:
    return {"name": name, "in": "header", "required": True, "description": description, "schema": {"type": "string"}}


def _security(operation: Operation, *, production: bool) -> list[Schema]:
    if operation.who == "anyone" or (operation.who == "operator" and not production):
        return []
    schemes = ["bearer", "cookie"]
    if operation.who == "operator":
        schemes.append("metricsToken")
    return [{scheme: []} for scheme in schemes]


def _parameter(parameter: Parameter) -> Schema:
    shape = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": parameter.required,
        "schema": _schema_of(parameter.kind),
    }
    return shape if parameter.example is None else {**shape, "example": parameter.example}


def _schema_of(kind: Any) -> Schema:
    """The schema of a parameter. msgspec defines enumerations apart, and refers to them."""
    schema = msgspec.json.schema(kind)
    if "$ref" not in schema:
        return schema
    (defined,) = schema["$defs"].values()
    return dict(defined)


def _request_body(body: Body) -> Schema:
    content = {"schema": _reference(body.kind), "example": body.example}
    return {"required": body.required, "content": {JSON: content}}


def _success(success: Success) -> Schema:
    shape: Schema = {"description": success.description, "headers": _headers("X-Request-Id", *success.headers)}
    if success.kind is not None:
        shape["content"] = {JSON: {"schema": _reference(success.kind), "example": success.example}}
    elif success.media_types:
        kind = "object" if success.media_types == (JSON,) else "string"
        shape["content"] = {media_type: {"schema": {"type": kind}} for media_type in success.media_types}
    if success.links:
        id_ = "$response.body#/id"
        shape["links"] = {name: {"operationId": name, "parameters": {"id": id_}} for name in success.links}
    return shape


def _problem_responses(*, production: bool) -> dict[str, Schema]:
    """A response for each set of problems that some operation has under one status; 405 belongs to no operation."""
    every: list[tuple[Code, ...]] = [("method-not-allowed",)]
    for operation in OPERATIONS:
        every += _by_status(codes_of(operation, production=production))
    return {_name(codes): _problem_response(codes) for codes in sorted(set(every))}


def _problem_response(codes: Sequence[Code]) -> Schema:
    status = KINDS[codes[0]].status
    # A schema for each set of codes would be more exact, but generators of clients drop answers with such schemas.
    return {
        "description": " ".join(KINDS[code].meaning for code in codes),
        "headers": _headers("X-Request-Id", *_PROBLEM_HEADERS.get(status, ())),
        "content": {
            CONTENT_TYPE: {
                "schema": _reference(Problem),
                "examples": {code: {"summary": KINDS[code].title, "value": _example(code)} for code in codes},
            }
        },
    }


def _example(code: Code) -> Problem:
    errors = (FieldError("quantity", "expected a whole number from 1 to 1000"),) if code == "bad-request" else ()
    return problem(code, KINDS[code].meaning, Place(f"/reservations/{RESERVATION_ID}"), errors)


def _by_status(codes: Iterable[Code]) -> list[tuple[Code, ...]]:
    statuses: dict[int, list[Code]] = {}
    for code in codes:
        statuses.setdefault(KINDS[code].status, []).append(code)
    return [tuple(statuses[status]) for status in sorted(statuses)]


def _name(codes: Sequence[Code]) -> str:
    return ".".join(codes)


def _headers(*names: str) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


@cache
def _schemas() -> dict[str, Schema]:
    """The schema of each struct, those of its fields included, by its published name."""
    types: list[type[msgspec.Struct]] = [Problem, *VIEWS.values()]
    for operation in OPERATIONS:
        types += [success.kind for success in operation.successes if success.kind is not None]
        if operation.body is not None:
            types.append(operation.body.kind)
    _, schemas = msgspec.json.schema_components(types, ref_template=_SCHEMAS + "{name}")
    return {_published(name): _as_published(name, schema) for name, schema in schemas.items()}


def _as_published(name: str, schema: Schema) -> Schema:
    # Docstrings have the indentation of the code.
    shape = {**schema, "title": _published(name), "description": cleandoc(schema["description"])}
    if "properties" in schema:
        shape["properties"] = {field: _without_default(each) for field, each in schema["properties"].items()}
    return shape


def _without_default(schema: Schema) -> Schema:
    """The schema of a field. Generators of clients take a field with a default for one that is always there."""
    if "default" not in schema:
        return schema
    shape, default = _without(schema, "default"), schema["default"]
    if default in (None, "", (), [], {}):
        return shape
    said = f"If left out: {default}."
    return {**shape, "description": f"{shape['description']} {said}" if "description" in shape else said}


def _reference(kind: type[msgspec.Struct]) -> Schema:
    return {"$ref": _SCHEMAS + _published(kind.__name__)}


def _published(name: str) -> str:
    return _PUBLISHED_NAMES.get(name, name)


_SCHEMAS: Final = "#/components/schemas/"
_PUBLISHED_NAMES: Final = {"StockLevelView": "StockView"}
"""Published names of schemas that differ from the struct's. Clients' generated code uses the published ones."""


def _without(whole: Schema, name: str) -> Schema:
    return {key: value for key, value in whole.items() if key != name}


def _table_of_problems() -> str:
    rows = (f"| `{code}` | {kind.status} | {kind.meaning} |" for code, kind in KINDS.items())
    return "\n".join(("| code | status | meaning |", "|---|---|---|", *rows))


def _header(description: str, *, required: bool = True, **schema: Any) -> Schema:
    return {"description": description, "required": required, "schema": {"type": "string", **schema}}


HEADERS: Final[dict[str, Schema]] = {
    "X-Request-Id": _header(
        "The request's name in the server's log: the one it brought (64 letters, digits, `.`, `_`, `-` at most), or"
        " a new one.",
        pattern="^[A-Za-z0-9._-]{1,64}$",
    ),
    "Location": _header("Where to find what was made.", format="uri-reference"),
    "Idempotent-Replayed": _header("Sent if the same key was given this answer before.", required=False, const="true"),
    "ETag": _header("The version of the body, to be sent as `If-None-Match` next time."),
    "Set-Cookie": _header("The cookie with the token, HTTP-only."),
    "Content-Disposition": _header("The name to store the file under."),
    "Retry-After": {
        "description": "Seconds to wait before trying again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": _header("How to sign in, and whether a token was sent that is invalid."),
    "Allow": _header("The methods that the address has."),
}
"""The headers of answers, by the names that `Success.headers` use."""

_OF_DELIVERIES: Final = {
    "webhook-id": "The event's id. It is the same each time the event is sent.",
    "webhook-timestamp": "When it is sent: seconds since 1970. Refuse deliveries that are older than five minutes.",
    "webhook-signature": "One or two signatures, `v1,` and base64, with a space between; one of them has to fit.",
}
_PREVIOUS: Final[Schema] = {
    "type": "object",
    "required": ["previous"],
    "properties": {
        "previous": {
            "type": ["integer", "null"],
            "minimum": 1,
            "description": "The `sequence` of the previous event of this subject that was sent to this endpoint.",
        }
    },
}

_PROBLEM_HEADERS: Final[dict[int, tuple[str, ...]]] = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}

_SECURITY_SCHEMES: Final[Schema] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The token from `POST /auth/login`, a token of one of the shop's issuers, or an API key.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "description": "The same token in the cookie that signing in sets. A bearer token comes first.",
    },
    "metricsToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The value of FLASHRESERVE_METRICS_TOKEN.",
    },
}

_TAGS: Final = {
    "Accounts": "Registering, signing in and out.",
    "Products": "Products: everybody may see them, admins may change them.",
    "Reservations": "Holds on stock: make, confirm (buy), extend and cancel them.",
    "Events": "The record of each transition.",
    "Webhooks": "Endpoints that events are delivered to, and the deliveries.",
    "API keys": "For programs of the shop's.",
    "Operations": "For those who run the service, and for their machines.",
}

_DESCRIPTION: Final = """\
FlashReserve holds each unit of scarce stock for exactly one customer, for ten minutes or as long as the product says,
and it is either bought or back on sale.

* **Bodies** are JSON in camelCase; unknown fields are refused. Instants are UTC with milliseconds. Prices are decimals
  as text. Ids are UUIDs.
* **A 201 is a promise**: the reservation is on disk.
* **Retry freely with an `Idempotency-Key`.** A request repeated with its key gets the first answer again, with
  `Idempotent-Replayed: true`; nothing is taken twice. After a 503 `outcome-unknown`, repeat the request in this way.
* **Sign in** with a bearer token or the cookie that signing in sets. With the cookie alone, only pages of this site may
  make changes.
* **Every answer** carries an `X-Request-Id`. `HEAD` works wherever `GET` does. A method that an address doesn't have is
  answered 405, with an `Allow` header; an address that doesn't exist, 404.
* **Errors** are problem documents (RFC 9457). Their `code` is stable, and `errors` names the first field at fault:

"""
