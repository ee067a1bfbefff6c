"""The log: one format for all messages, and no secrets in it."""

import io
import json
import logging
import warnings
from typing import Any

import pytest
import structlog

from flashreserve import logs

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    logs.configure("info", stream, colors=True)
    return stream


def ours() -> Any:
    return structlog.get_logger("flashreserve.somewhere")


def test_a_line_is_one_json_object_with_time_level_and_event_first(stream: io.StringIO) -> None:
    ours().warning("sold out", product="p", left=0, share=0.5, none=None, of=["a", 1])

    (line,) = lines(stream)
    assert list(line)[:3] == ["time", "level", "event"]
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "event": "sold out",
        "logger": "flashreserve.somewhere",
        "product": "p",
        "left": 0,
        "share": 0.5,
        "none": None,
        "of": "['a', 1]",
    }


def test_libraries_lines_have_the_same_form(stream: io.StringIO) -> None:
    logging.getLogger("pymongo.client").warning("it took %d s", 3)
    logging.getLogger("asyncio").error("Task exception was never retrieved")
    logging.getLogger("flashreserve.http").info("ours, by the standard library")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", UserWarning, stacklevel=1)

    assert [(line["level"], line["event"], line["logger"]) for line in lines(stream)[:3]] == [
        ("warning", "it took 3 s", "pymongo.client"),
        ("error", "Task exception was never retrieved", "asyncio"),
        ("info", "ours, by the standard library", "flashreserve.http"),
    ]
    assert "UserWarning: old" in lines(stream)[3]["event"]


def test_what_lies_below_the_level_is_left_out(stream: io.StringIO) -> None:
    ours().debug("detail")
    logging.getLogger("pymongo.client").info("Started server process")
    assert stream.getvalue() == ""

    logs.configure("debug", stream, colors=False)
    ours().debug("detail")
    logging.getLogger("pymongo.client").info("Started server process")
    assert [line["event"] for line in lines(stream)] == ["detail", "Started server process"]

    logs.configure("error", stream, colors=False)
    ours().warning("odd")
    logging.getLogger("pymongo.client").warning("odd")
    assert len(lines(stream)) == 2


def test_configuring_again_does_not_say_everything_twice(stream: io.StringIO) -> None:
    again = io.StringIO()
    logs.configure("info", again, colors=False)
    ours().info("once")

    assert (stream.getvalue(), len(lines(again))) == ("", 1)


@pytest.mark.parametrize("name", ["password", "new_password", "token", "secret_keys", "Authorization", "cookie"])
def test_a_secret_is_redacted_by_its_name(stream: io.StringIO, name: str) -> None:
    ours().info("signing in", **{name: "hunter2"})

    assert lines(stream)[0][name] == "[secret]"
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize(
    "value",
    [
        TOKEN,
        f"Bearer {TOKEN}",
        {"deep": [TOKEN]},
        f"/products?x={TOKEN}",
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
    ],
)
def test_a_secret_is_redacted_by_its_looks(stream: io.StringIO, value: object) -> None:
    ours().info("odd", value=value)
    ours().info(str(value))
    logging.getLogger("pymongo.client").warning("got %s", value)

    assert "[secret]" in stream.getvalue()
    assert "c2lnbmF0" not in stream.getvalue()
    assert "c2FsdA" not in stream.getvalue()


def test_a_traceback_says_where_without_values_of_variables_and_without_secrets(stream: io.StringIO) -> None:
    def sign_in(password: str) -> None:
        raise ValueError(f"wrong {TOKEN}")

    password = "at home"
    for log in (ours(), logging.getLogger("asyncio")):
        try:
            sign_in(password)
        except ValueError:
            log.exception("failed")

    for line in lines(stream):
        assert "in sign_in" in line["exception"]
        assert "ValueError: wrong [secret]" in line["exception"]
    assert len(lines(stream)) == 2
    assert "at home" not in stream.getvalue()


def test_long_values_are_cut(stream: io.StringIO) -> None:
    ours().info("x" * 100_000, path="/" * 100_000)

    assert len(stream.getvalue()) < 3 * logs.VALUE_LENGTH_MAX


def test_on_a_terminal_a_line_is_for_people() -> None:
    terminal = Terminal()
    logs.configure("info", terminal, colors=False)

    ours().info("job done", job="sweep", count=3)

    assert "job done" in terminal.getvalue()
    assert "count=3" in terminal.getvalue()
    assert "{" not in terminal.getvalue()
    assert "\x1b" not in terminal.getvalue()


def test_colours_come_only_when_wanted() -> None:
    terminal = Terminal()
    logs.configure("info", terminal, colors=True)

    ours().info("job done")

    assert "\x1b[" in terminal.getvalue()


def test_what_clients_send_cannot_move_the_operators_cursor() -> None:
    terminal = Terminal()
    logs.configure("info", terminal, colors=False)

    ours().warning("request", path="/\x1b[2J\r\nfake line\x9b31m\u202e")
    logging.getLogger("pymongo.client").warning("bad\x1b[2J request")

    assert not [c for c in terminal.getvalue() if not c.isprintable() and c != "\n"]
    assert len(terminal.getvalue().splitlines()) == 2


def test_a_reader_that_is_gone_does_not_stop_the_service(
    stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    stream.close()

    ours().warning("nobody hears this")

    assert capsys.readouterr().err == ""
