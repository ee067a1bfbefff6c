"""The context of a request on the express lane."""

from msgspec import UNSET, UnsetType

from flashreserve.http.added_headers import answer_lines, over_tls
from flashreserve.http.answers import Answer, refusal
from flashreserve.http.context import RequestContext
from flashreserve.http.edge_rules import EdgeRules
from flashreserve.http.places import without_prefix
from flashreserve.http.problems import KINDS, Code
from flashreserve.server.exchange import Exchange


class LaneContext(RequestContext):
    """The context of a request on the express lane. Call `admitted` first, then `answer` exactly once."""

    def __init__(self, rules: EdgeRules, exchange: Exchange) -> None:
        self.started_at = rules.monotonic()
        self.exchange = exchange
        self.method = exchange.method
        self.prefix = prefix = rules.prefix
        self.path = without_prefix(exchange.path, prefix) if prefix else exchange.path
        self.client = exchange.client
        self.headers = {}
        self._rules = rules

    def admitted(self) -> bool:
        """Whether the edge admits the request; if so, this fills in `headers`. If not, ASGI's way refuses it."""
        exchange, rules = self.exchange, self._rules
        self.headers = headers = dict(exchange.headers)
        self.id = rules.request_ids.of(headers)
        refusal = rules.admission.refusal(headers, exchange.headers, self.method, exchange.http_version, self.client)
        return refusal is None

    def answer(self, answer: Answer, *, close: bool = False) -> None:
        """Send the answer with the added headers, and count it. Only the first answer is sent."""
        if self.over:
            return
        self.over = True
        rules = self._rules
        took_s = rules.monotonic() - self.started_at
        strict = rules.strict_transport and over_tls(self.exchange.scheme, self.headers)
        lines = answer_lines(answer, self.id, strict=strict)
        if rules.origins.any:
            lines += rules.origins.lines(self.headers)
        self.exchange.answer(answer.status, lines, answer.body, close=close)
        rules.log.answered(self, answer.status, took_s)

    def broken(self, error: Exception) -> None:
        """Log the error, and answer with a problem."""
        self._rules.log.broken(self, error)
        self._refuse("internal")

    def give_up(self) -> None:
        """Answer 503 `outcome-unknown` in place of the application, because the server waits no longer."""
        self._refuse("outcome-unknown", retry_after_s=1, close=True)

    def _refuse(self, code: Code, *, retry_after_s: int | UnsetType = UNSET, close: bool = False) -> None:
        answer = refusal(code, KINDS[code].meaning, self.place, retry_after_seconds=retry_after_s)
        self.answer(answer, close=close)
