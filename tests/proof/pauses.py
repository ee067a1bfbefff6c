"""Rules of pauses: nothing is granted while a sale is paused, and nothing is refused for that while it isn't."""

from collections.abc import Iterator

from tests.proof.facts import EVER, HistoryFacts, Request, Violation


def check(facts: HistoryFacts) -> Iterator[Violation]:
    """Check all rules of pauses."""
    pauses = [request for request in facts.by_kind["pause"] if request.code != "unavailable"]
    resumes = [request for request in facts.by_kind["resume"] if request.code != "unavailable"]
    for request in facts.by_kind["reserve"]:
        if request.code == "reserved":
            yield from _granted(request, pauses, resumes)
        elif request.code == "sale-paused" and not _may_be_paused(facts, request, pauses):
            yield Violation("pauses", f"refused, though nobody paused it: {request.text()}")


def _granted(request: Request, pauses: list[Request], resumes: list[Request]) -> Iterator[Violation]:
    """A request that was sent after a pause was answered isn't granted before somebody asks to resume the sale."""
    for product, _ in request.asked.lines:
        for pause in pauses:
            if pause.code != "paused" or pause.end > request.asked.at or pause.asked.of not in {"", product}:
                continue
            ends = [each for each in resumes if each.asked.of == pause.asked.of and each.asked.at <= request.end]
            # The end of a pause that was asked for before this one may also be carried out after it.
            if not any(resume.end > pause.asked.at or resume.code != "resumed" for resume in ends):
                yield Violation("pauses", f"granted after {pause.text()}: {request.text()}")


def _may_be_paused(facts: HistoryFacts, request: Request, pauses: list[Request]) -> bool:
    products = {product for product, _ in request.asked.lines}
    asked = [pause.asked.at for pause in pauses if pause.asked.of in {"", *products}]
    return min(asked, default=EVER) <= request.end + facts.slack_ms
