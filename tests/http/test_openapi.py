import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import jsonschema_rs
import msgspec
import pytest
from litestar.routes import HTTPRoute
from tests.http.documented import BY_NAME, DOCUMENT, PRODUCTION_DOCUMENT, component, faults

import schemathesis
from flashreserve.auth import outcomes as accounts
from flashreserve.core import outcomes
from flashreserve.core.model import Adjustment, Product, Reservation, Status
from flashreserve.http import openapi
from flashreserve.http.answers import Answer, from_account_refusal, from_outcome
from flashreserve.http.app import create_app
from flashreserve.http.operations import OPERATIONS
from flashreserve.http.operations.examples import PRODUCT_ID as ID
from flashreserve.http.places import Place
from flashreserve.http.problems import KINDS
from flashreserve.http.site import Cookies

# The table and the routes.


def test_exactly_the_registered_routes_are_documented() -> None:
    app = create_app(None)  # type: ignore[arg-type]  # no route is called
    registered = {
        (method, route.path.replace(":str}", "}").replace(":path}", "}"))
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
        if method != "OPTIONS"
    }
    documented = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}

    assert documented == registered


# The document.


@pytest.mark.parametrize("document", [DOCUMENT, PRODUCTION_DOCUMENT], ids=["development", "production"])
def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(document).validate()


def test_a_document_that_is_not_valid_openapi_would_be_noticed() -> None:
    broken = json.loads(openapi.document(Cookies.named(production=False), "", production=False))
    broken["paths"]["/products"]["get"]["responses"] = {"200": {"content": 1}}

    with pytest.raises(Exception, match=r"content|description"):
        schemathesis.openapi.from_dict(broken).validate()


def test_all_references_lead_somewhere_and_all_components_are_referred_to() -> None:
    references = {value for name, value in _leaves(PRODUCTION_DOCUMENT) if name == "$ref"}
    components = {
        f"#/components/{kind}/{name}"
        for kind, named in PRODUCTION_DOCUMENT["components"].items()
        if kind != "securitySchemes"
        for name in named
    }

    # No operation has the answer 405, so none refers to it.
    assert components - references == {"#/components/responses/method-not-allowed"}
    assert references - components == set()


def test_a_schema_keeps_the_name_that_clients_know() -> None:
    answer = DOCUMENT["paths"]["/products/{id}/stock"]["get"]["responses"]["200"]

    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/StockView"}
    assert DOCUMENT["components"]["schemas"]["StockView"]["title"] == "StockView"


def test_a_field_that_may_be_left_out_says_what_it_then_is() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    quantity = schemas["ReserveBody"]["properties"]["quantity"]
    said = [value for name, value in _leaves(schemas) if name == "description" and "If left out:" in str(value)]

    assert "quantity" not in schemas["ReserveBody"].get("required", ())
    assert quantity["description"] == "If left out: 1."
    assert "description" not in schemas["Problem"]["properties"]["errors"]
    # No field says that it is empty then: empty text, and an empty list, are the same as none.
    assert [text for text in said if re.search(r"If left out: \W*\.", text)] == []


def test_names_of_operations_are_unique_and_links_lead_to_them() -> None:
    linked = {name for operation in OPERATIONS for success in operation.successes for name in success.links}

    assert len(BY_NAME) == len(OPERATIONS)
    assert BY_NAME.keys() >= linked


def test_all_parameters_of_a_path_are_described() -> None:
    for operation in OPERATIONS:
        in_path = {parameter.name for parameter in operation.parameters if parameter.place == "path"}

        assert in_path == set(re.findall(r"{(\w+)}", operation.path)), operation.name


def test_all_schemas_are_valid_and_all_examples_keep_to_them() -> None:
    seen = 0
    for place, media in _media_types(DOCUMENT):
        schema = {**media["schema"], "components": DOCUMENT["components"]}
        jsonschema_rs.meta.validate(schema)
        validator = jsonschema_rs.validator_for(schema, validate_formats=True)
        named = [example["value"] for example in media.get("examples", {}).values()]
        for example in [*named, *([media["example"]] if "example" in media else [])]:
            seen += 1
            assert validator.is_valid(example), (place, example, [*validator.iter_errors(example)])
    assert seen > len(OPERATIONS)


def test_examples_of_bodies_are_what_the_routes_read() -> None:
    for operation in OPERATIONS:
        if operation.body is not None:
            msgspec.convert(operation.body.example, operation.body.kind)


def test_examples_of_parameters_keep_to_their_schemas() -> None:
    for operation in DOCUMENT["paths"].values():
        for method in operation.values():
            for parameter in method.get("parameters", ()):
                if "example" in parameter:
                    assert jsonschema_rs.is_valid(parameter["schema"], parameter["example"]), parameter


def test_every_answer_carries_a_request_id() -> None:
    for operation in DOCUMENT["paths"].values():
        for method in operation.values():
            for answer in method["responses"].values():
                whole = answer if "$ref" not in answer else component(answer["$ref"])

                assert "X-Request-Id" in whole["headers"]


def test_refusals_carry_the_headers_that_go_with_them() -> None:
    expected = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}
    for codes, answer in DOCUMENT["components"]["responses"].items():
        header = expected.get(KINDS[codes.split(".")[0]].status)

        assert header is None or header in answer["headers"], codes


def test_the_document_says_who_may_see_the_docs() -> None:
    public, closed = DOCUMENT["paths"]["/api-docs"]["get"], PRODUCTION_DOCUMENT["paths"]["/api-docs"]["get"]

    assert public["security"] == []
    assert not {"401", "403"} & public["responses"].keys()
    assert closed["security"] == [{"bearer": []}, {"cookie": []}, {"metricsToken": []}]
    assert {"401", "403"} <= closed["responses"].keys()


# Outcomes of commands, and documented answers.

NOW = 1_795_428_000_000
PRODUCT = Product(ID, "a thing", 100, "USD", 1, 1, None, None, None, 600, 0, NOW, NOW)
HELD = Reservation(
    id=ID, user_id=ID, status=Status.PENDING, lines=(), created_at=NOW, expires_at=NOW, hold_s=1, extensions_max=0
)
OUTCOMES: list[outcomes.Outcome] = [
    outcomes.Reserved(HELD),
    outcomes.Replayed(HELD),
    outcomes.Confirmed(HELD),
    outcomes.Returned(HELD),
    outcomes.Labelled(HELD),
    outcomes.Extended(HELD),
    outcomes.Released(HELD),
    outcomes.Restocked(Adjustment(product_id=ID, key="k", change=1, stocked=1, available=1, by=ID, at=NOW)),
    outcomes.Edited(PRODUCT),
    outcomes.NotFound("product", ID),
    outcomes.KeyReused("k"),
    outcomes.SalePaused(ID, "a fault"),
    outcomes.NotOnSale(ID, NOW, None),
    outcomes.SoldOut(ID, 0),
    outcomes.LimitReached(ID, 1),
    outcomes.OpenHoldsReached(20, 60),
    outcomes.HourlyHoldsReached(100, 60),
    outcomes.LapsesReached(10, 60),
    outcomes.Expired(ID, NOW),
    outcomes.AlreadyConfirmed(ID),
    outcomes.AlreadyCancelled(ID),
    outcomes.ExtensionsUsedUp(ID, 1),
    outcomes.NotConfirmed(ID),
    outcomes.TooMany(ID, ID, 0),
    outcomes.ReturnsUsedUp(ID, 10),
    outcomes.ExternalIdTaken("IP15", ID),
    outcomes.StockTaken(ID, 0),
    outcomes.RulesFixed("perCustomerLimit", "it is"),
    outcomes.Invalid("price", "expected another"),
    outcomes.Unavailable("away"),
    outcomes.OutcomeUnknown(),
    outcomes.Failed("broken"),
]
COMES_TO = {
    "reserve": outcomes.ReserveOutcome | outcomes.SystemOutcome,
    "reserveShort": outcomes.ReserveOutcome | outcomes.SystemOutcome,
    "reserveBasket": outcomes.ReserveOutcome | outcomes.Invalid | outcomes.SystemOutcome,
    "confirm": outcomes.ConfirmOutcome | outcomes.SystemOutcome,
    "checkout": outcomes.ConfirmOutcome | outcomes.SystemOutcome,
    "extend": outcomes.ExtendOutcome | outcomes.SystemOutcome,
    "cancel": outcomes.CancelOutcome | outcomes.SystemOutcome,
    "returnUnits": outcomes.ReturnOutcome | outcomes.SystemOutcome,
    "labelReservation": outcomes.LabelOutcome | outcomes.SystemOutcome,
    "restock": outcomes.RestockOutcome | outcomes.SystemOutcome,
    "editProduct": outcomes.EditOutcome | outcomes.SystemOutcome,
    "pauseProduct": outcomes.NotFound | outcomes.SystemOutcome,
    "resumeProduct": outcomes.NotFound | outcomes.SystemOutcome,
    "putProduct": outcomes.RulesFixed | outcomes.Invalid | outcomes.SystemOutcome,
    "createProduct": outcomes.Invalid | outcomes.ExternalIdTaken,
}


@pytest.mark.parametrize("name", COMES_TO)
def test_everything_that_a_command_can_come_to_is_documented(name: str) -> None:
    kinds = get_args(COMES_TO[name]) or (COMES_TO[name],)
    possible = [outcome for outcome in OUTCOMES if isinstance(outcome, kinds)]

    assert len(possible) == len(kinds)
    for outcome in possible:
        assert _faults(name, from_outcome(outcome, Place("/"))) == [], outcome


def test_every_outcome_is_one_of_an_operation() -> None:
    """Only the sweep gets `NotDue`."""
    of_operations = {kind for kinds in COMES_TO.values() for kind in get_args(kinds) or (kinds,)}

    assert of_operations == set(get_args(outcomes.Outcome)) - {outcomes.NotDue}
    assert of_operations == {type(outcome) for outcome in OUTCOMES}


def test_no_refusal_of_a_command_is_documented_that_it_cannot_come_to() -> None:
    for name, kinds in COMES_TO.items():
        possible = {
            json.loads(answer.body)["code"]
            for outcome in OUTCOMES
            if isinstance(outcome, kinds) and (answer := from_outcome(outcome, Place("/"))).status >= 400
        }
        own = set(BY_NAME[name].codes)

        assert own <= possible, name


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("register", [accounts.EmailTaken(), accounts.InvalidField("email", "bad"), accounts.TooManyTries(1)]),
        ("register", [accounts.Busy()]),
        ("login", [accounts.WrongCredentials(), accounts.InvalidField("email", "bad"), accounts.TooManyTries(1)]),
        ("login", [accounts.Busy()]),
        ("me", [accounts.AccountNotFound()]),
        ("disableAccount", [accounts.AccountNotFound(), accounts.LastAdmin()]),
        ("resetPassword", [accounts.WrongCode(), accounts.InvalidField("password", "bad")]),
        ("refreshToken", [accounts.SessionOver(), accounts.AccountNotFound()]),
        ("changePassword", [accounts.InvalidField("oldPassword", "wrong"), accounts.SessionOver(), accounts.Busy()]),
    ],
)
def test_everything_that_becomes_of_accounts_is_documented(name: str, possible: list[Any]) -> None:
    for outcome in possible:
        assert _faults(name, from_account_refusal(outcome, Place("/"))) == [], outcome


def _faults(name: str, answer: Answer) -> list[str]:
    headers = {"content-type": answer.content_type, "x-request-id": "an-id", **dict(answer.headers)}
    return faults(BY_NAME[name], answer.status, headers, answer.body)


def _leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from _leaves(value, name)
    else:
        yield name, tree


def _media_types(tree: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == "content":
                yield from ((place, media) for media in value.values())
            else:
                yield from _media_types(value, f"{place}/{key}")
    elif isinstance(tree, list):
        for value in tree:
            yield from _media_types(value, place)
