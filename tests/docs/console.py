"""Runs the console blocks of a page, and compares the output with the page.

`…` in a shown line stands for any text in that line; a line with only `…` stands for any number of lines. A command
without shown output may print anything. Every command must succeed.
"""

import re
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.docs.pages import ROOT, CodeBlock
from tests.docs.shell import run_as_reader

_PORT: Final = re.compile(r"\b300\d\b")
"""The ports that pages name. Each is replaced by a free one, and put back in the output."""

_COLUMNS: Final = "100"


class ShownCommand(NamedTuple):
    """A command of a console block, with its continuation lines, and the output that the page shows for it."""

    line: str
    shown: tuple[str, ...]


def commands_in(text: str) -> list[ShownCommand]:
    """The commands of a console block: lines that begin with `$ `, with continuation lines after a `\\` at the end."""
    commands: list[ShownCommand] = []
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("$ "):
            whole = line.removeprefix("$ ")
            while whole.endswith("\\"):
                whole += "\n" + next(lines)
            commands.append(ShownCommand(whole, ()))
        else:
            assert commands, f"the block begins with what no command printed: {line}"
            commands[-1] = commands[-1]._replace(shown=(*commands[-1].shown, line))
    return commands


def run_blocks(
    blocks: Iterable[CodeBlock],
    folder: Path,
    *,
    files: Mapping[str, str] | None = None,
    instead: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 240,
) -> None:
    """Run the blocks in one shell, in `folder`, and compare.

    Args:
        blocks: console blocks.
        folder: becomes the reader's; has `.venv` and `tests` as a checkout has, and the project's commands on PATH.
        files: the texts of files to write into the folder, by name.
        instead: texts of the page, with what stands in their place where the test runs it.
        before: lines of shell to run first.
        environment: variables to add.
        timeout_s: for all of it.

    Raises:
        AssertionError: a command failed, or printed something else; the message says which.
    """
    commands = [command for block in blocks for command in commands_in(block.text)]
    texts = [command.line for command in commands] + [*(files or {}).values()]
    ports = _free_ports({port for text in texts for port in _PORT.findall(text)} | {"3000"})
    for name, text in (files or {}).items():
        (folder / name).write_text(_replaced(text, {}, ports), encoding="utf-8")
    own = {port: shown for shown, port in ports.items()}
    outputs = folder / ".outputs"
    outputs.mkdir()
    for name, target in ((".venv", Path(sys.prefix)), ("tests", ROOT / "tests")):
        if not (folder / name).exists():
            (folder / name).symlink_to(target)
    script = [
        f'PATH="{sys.prefix}/bin:$PATH"',
        f"export COLUMNS={_COLUMNS} NO_COLOR=1",
        "trap 'kill $(jobs -p) 2> /dev/null; wait' EXIT",
        *before,
    ]
    for number, command in enumerate(commands):
        line = _replaced(command.line, instead or {}, ports)
        script += [
            f"{{ {line}\n}} > .outputs/{number} 2>&1",
            f'code=$?; [ $code = 0 ] || {{ echo "ended with $code:"; cat .outputs/{number}; exit 1; }}',
        ]
    run_as_reader(
        "\n".join(script), folder=folder, port=ports["3000"], timeout_s=timeout_s, environment=environment or {}
    )
    for number, command in enumerate(commands):
        printed = _replaced((outputs / str(number)).read_text(encoding="utf-8"), {}, own)
        fault = difference(command.shown, printed)
        assert not fault, f"$ {command.line}\n{fault}"


def difference(shown: Sequence[str], printed: str) -> str:
    """The actual output if it differs from the shown output; empty if they agree, or if no output is shown."""
    if not shown:
        return ""
    if re.fullmatch("".join(map(_pattern, shown)), printed.rstrip() + "\n"):
        return ""
    return "\n".join(["shows", *shown, "and printed", printed])


def _pattern(shown: str) -> str:
    """The regular expression for a shown line, with its line end."""
    if shown.strip() == "…":
        return r"(?:[^\n]*\n)*?"
    return "[^\n]*".join(map(re.escape, shown.rstrip().split("…"))) + " *\n"


def _replaced(text: str, instead: Mapping[str, str], ports: Mapping[str, str]) -> str:
    for shown, own in (*instead.items(), *((rf"\b{shown}\b", own) for shown, own in ports.items())):
        text = re.sub(shown, own, text) if shown.startswith(r"\b") else text.replace(shown, own)
    return text


def _free_ports(names: Iterable[str]) -> dict[str, str]:
    """A free port for each name. All are bound at the same time, so that all differ."""
    sockets = {name: socket.socket() for name in sorted(names)}
    for each in sockets.values():
        each.bind(("127.0.0.1", 0))
    ports = {name: str(each.getsockname()[1]) for name, each in sockets.items()}
    for each in sockets.values():
        each.close()
    return ports
