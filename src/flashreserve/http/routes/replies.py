"""Turns answers into the framework's responses."""

from litestar import Response
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from flashreserve.core.outcomes import Outcome
from flashreserve.http.answers import Answer, from_outcome
from flashreserve.http.requests import HttpRequest, place_of
from flashreserve.http.services import Services

ServicesHere = NamedDependency[SkipValidation[Services]]


def reply(answer: Answer) -> Response[bytes]:
    """The answer as the framework sends it."""
    return Response(
        answer.body,
        status_code=answer.status,
        media_type=answer.content_type,
        headers=dict(answer.headers),
    )


def outcome_reply(outcome: Outcome, request: HttpRequest) -> Response[bytes]:
    """The answer to an outcome."""
    return reply(from_outcome(outcome, place_of(request)))
