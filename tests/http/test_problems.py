import json
from typing import get_args

import pytest

from flashreserve.http.places import Place
from flashreserve.http.problems import KINDS, Code, FieldError, encode


def test_every_code_has_a_kind_and_every_kind_a_code() -> None:
    assert list(KINDS) == list(get_args(Code))


@pytest.mark.parametrize("code", KINDS)
def test_a_problem_says_what_its_kind_says(code: Code) -> None:
    document = json.loads(encode(code, "none of 3 left", Place("/reservations/7")))
    assert document == {
        "type": f"/problems/{code}",
        "code": code,
        "title": KINDS[code].title,
        "status": KINDS[code].status,
        "detail": "none of 3 left",
        "instance": "/reservations/7",
    }


@pytest.mark.parametrize("code", KINDS)
def test_every_kind_is_an_error_with_a_title_and_a_sentence_that_explains_it(code: Code) -> None:
    kind = KINDS[code]
    assert 400 <= kind.status < 600
    assert kind.title
    assert kind.meaning[0].isupper()
    assert kind.meaning.endswith(".")


def test_errors_name_fields() -> None:
    errors = [FieldError("quantity", "expected 1 to 1000, not 0"), FieldError("lines[0].productId", "expected an id")]
    document = json.loads(encode("bad-request", "2 fields are wrong", Place("/reservations"), errors))
    assert document["errors"] == [
        {"field": "quantity", "message": "expected 1 to 1000, not 0"},
        {"field": "lines[0].productId", "message": "expected an id"},
    ]
