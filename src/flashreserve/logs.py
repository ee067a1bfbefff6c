"""The log: one format for our own messages and those of libraries.

On a terminal, a line is for people to read; elsewhere it is one JSON object. Secrets are redacted everywhere, and text
from clients can't move the cursor of the operator's terminal.
"""

import json
import logging
import re
from collections.abc import MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from flashreserve.redaction import HIDDEN, redact

Level = Literal["debug", "info", "warning", "error"]

VALUE_LENGTH_MAX: Final = 2_000
"""Characters of one logged value; the rest is cut off."""

TRACEBACK_LENGTH_MAX: Final = 20_000
"""Characters of one traceback. Its end says the most, so the beginning is cut off."""

_MARGIN: Final = 4
_TRACEBACKS: Final = frozenset({"exception", "stack"})
_SECRET_NAME: Final = re.compile(r"password|passwd|secret|token|cookie|authorization|credential", re.IGNORECASE)
_SHOWN_AS_IT_IS: Final = (bool, int, float, type(None))


def configure(level: Level, stream: TextIO, *, colors: bool) -> None:
    """Send the log to `stream` from now on, and no longer to where it went before.

    Libraries log only warnings and errors; at level debug, also what they log at level info.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _LogOutput)]:
        root.removeHandler(handler)
    root.addHandler(_LogOutput(stream, _formatter(for_people=stream.isatty(), colors=colors)))
    root.setLevel(logging.INFO if level == "debug" else max(number, logging.WARNING))
    logging.getLogger("flashreserve").setLevel(number)
    logging.captureWarnings(capture=True)


class _LogOutput(logging.StreamHandler[TextIO]):
    """The one handler that we add. Its class tells it from other handlers."""

    def __init__(self, stream: TextIO, formatter: logging.Formatter) -> None:
        super().__init__(stream)
        self.setFormatter(formatter)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Drop the line: the service goes on when nobody reads the log any more."""


def _formatter(*, for_people: bool, colors: bool) -> logging.Formatter:
    def pick(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return structlog.stdlib.ProcessorFormatter.remove_processors_meta(logger, method, event)

    chain: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if for_people else "iso", utc=not for_people, key="time"),
        # Never with local variables: they hold secrets.
        structlog.processors.format_exc_info,
        pick,
        conceal,
    ]
    if for_people:
        chain += [_for_terminal, structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="time")]
    else:
        chain += [structlog.processors.JSONRenderer(serializer=_to_json)]
    return structlog.stdlib.ProcessorFormatter(processors=chain)


def conceal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Redact secrets, by the name of a field and in every text, and cut long values."""
    for name, value in event.items():
        if isinstance(value, _SHOWN_AS_IT_IS):
            continue
        if _SECRET_NAME.search(name):
            event[name] = HIDDEN
        elif name in _TRACEBACKS:
            event[name] = redact(str(value)[-_MARGIN * TRACEBACK_LENGTH_MAX :])[-TRACEBACK_LENGTH_MAX:]
        else:
            text = value if isinstance(value, str) else repr(value)
            # Redacted before it is cut, so that no half of a secret stays. Text far beyond the cut isn't examined.
            event[name] = redact(text[: _MARGIN * VALUE_LENGTH_MAX])[:VALUE_LENGTH_MAX]
    return event


def _for_terminal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = printable(value, keep="\n" if name in _TRACEBACKS else "")
    return event


def printable(text: str, *, keep: str = "") -> str:
    """The text with escapes in place of characters that move a terminal's cursor; those in `keep` stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode("ascii") for c in text)


def _to_json(event: MutableMapping[str, Any], **_: Any) -> str:
    # ASCII only: it is right in every encoding that the stream may have.
    first = {name: event.pop(name, None) for name in ("time", "level", "event")}
    return json.dumps({**first, **event})
