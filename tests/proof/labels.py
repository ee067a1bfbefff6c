"""Rules of labels: a reservation has the label that was set last, and nobody is told of another one."""

from collections.abc import Iterator

from tests.proof.facts import EVER, HistoryFacts, Request, Violation


def check(facts: HistoryFacts) -> Iterator[Violation]:
    """Check all rules of labels."""
    for held in facts.final.values():
        asked = [request for request in facts.asked_about(held.id, "label") if request.code != "unavailable"]
        done = [request for request in asked if request.code == "labelled"]
        last = {request.asked.label for request in asked if not _is_followed(request, done)}
        if held.label not in last and (done or held.label is not None):
            yield Violation("labels", f"{held} has none of the labels that may have been set last: {last}")
        for request in done:
            told = request.answer.held if request.answer is not None else None
            if told is None or told.label != request.asked.label:
                yield Violation("labels", f"told {told}: {request.text()}")


def _is_followed(request: Request, done: list[Request]) -> bool:
    """Whether another request was sent after this one was over, and was carried out. One without an answer never is."""
    over = request.end if request.code == "labelled" else EVER
    return any(other.asked.at > over for other in done)
