"""The log: one format for everything that this process says, ours and the libraries'.

On a terminal a line is for people; anywhere else it is one JSON object. Secrets are redacted wherever they stand,
and what clients send can't draw on the operator's terminal.
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
"""Characters of one value; the rest is cut off."""

TRACEBACK_LENGTH_MAX: Final = 20_000
"""Characters of one traceback; its end says the most, so the beginning is cut off."""

_MARGIN: Final = 4
_TRACEBACKS: Final = frozenset({"exception", "stack"})
_SECRET_NAME: Final = re.compile(r"password|passwd|secret|token|cookie|authorization|credential", re.IGNORECASE)
_SHOWN_AS_IT_IS: Final = (bool, int, float, type(None))


def configure(level: Level, stream: TextIO, *, colors: bool) -> None:
    """Send the log to `stream` from now on, instead of wherever it went before.

    Libraries say less than we do: their warnings, and what they call information only at level debug.
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
    """The one handler that we add, told from others' by its class."""

    def __init__(self, stream: TextIO, formatter: logging.Formatter) -> None:
        super().__init__(stream)
        self.setFormatter(formatter)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Drop the line: where nobody reads the log any more, the service goes on."""


def _formatter(*, for_people: bool, colors: bool) -> logging.Formatter:
    def pick(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return structlog.stdlib.ProcessorFormatter.remove_processors_meta(logger, method, event)

    chain: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if for_people else "iso", utc=not for_people, key="time"),
        # Never with local variables, which is where the secrets are.
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
    """Redact secrets, by the name of their field and in every text; cut values that are too long."""
    for name, value in event.items():
        if isinstance(value, _SHOWN_AS_IT_IS):
            continue
        if _SECRET_NAME.search(name):
            event[name] = HIDDEN
        elif name in _TRACEBACKS:
            event[name] = redact(str(value)[-_MARGIN * TRACEBACK_LENGTH_MAX :])[-TRACEBACK_LENGTH_MAX:]
        else:
            text = value if isinstance(value, str) else repr(value)
            # Redacted before it is cut, so that no half of a secret stays; text far beyond the cut isn't looked at.
            event[name] = redact(text[: _MARGIN * VALUE_LENGTH_MAX])[:VALUE_LENGTH_MAX]
    return event


def _for_terminal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = printable(value, keep="\n" if name in _TRACEBACKS else "")
    return event


def printable(text: str, *, keep: str = "") -> str:
    """The text with escapes in place of everything that would move a terminal's cursor; `keep` stays."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode("ascii") for c in text)


def _to_json(event: MutableMapping[str, Any], **_: Any) -> str:
    # ASCII only: it survives whatever encoding the stream has.
    first = {name: event.pop(name, None) for name in ("time", "level", "event")}
    return json.dumps({**first, **event})
