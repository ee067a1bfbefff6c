"""Compares answers with the OpenAPI document."""

import json
from collections.abc import Mapping
from typing import Any, Final

import jsonschema_rs

from flashreserve.http import openapi
from flashreserve.http.operations import OPERATIONS
from flashreserve.http.operations.operation import Operation
from flashreserve.http.site import Cookies

DOCUMENT: Final[Any] = json.loads(openapi.document(Cookies.named(production=False), "", production=False))
PRODUCTION_DOCUMENT: Final[Any] = json.loads(openapi.document(Cookies.named(production=True), "", production=True))
BY_NAME: Final = {operation.name: operation for operation in OPERATIONS}


def component(reference: str) -> Any:
    """The component that a `$ref` refers to."""
    whole = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        whole = whole[name]
    return whole


def faults(operation: Operation, status: int, headers: Mapping[str, str], body: bytes) -> list[str]:
    """The differences between the answer and those documented for the operation; `headers` by lower-case name."""
    answers = DOCUMENT["paths"][operation.path][operation.method]["responses"]
    if str(status) not in answers:
        return [f"the status {status}"]
    answer = answers[str(status)]
    answer = component(answer["$ref"]) if "$ref" in answer else answer
    return [*_faults_of_headers(answer["headers"], headers), *_faults_of_body(answer.get("content"), headers, body)]


def _faults_of_headers(documented: Mapping[str, Any], headers: Mapping[str, str]) -> list[str]:
    required = {name for name, header in documented.items() if component(header["$ref"])["required"]}
    return [f"no header {name}" for name in required if name.lower() not in headers]


def _faults_of_body(content: Mapping[str, Any] | None, headers: Mapping[str, str], body: bytes) -> list[str]:
    if content is None:
        return ["a body"] if body else []
    media_type = headers["content-type"].partition(";")[0]
    if media_type not in content:
        return [f"the media type {media_type}"]
    if not media_type.endswith("json"):
        return []
    schema = {**content[media_type]["schema"], "components": DOCUMENT["components"]}
    return [str(error) for error in jsonschema_rs.validator_for(schema).iter_errors(json.loads(body))]
