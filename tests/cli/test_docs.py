"""docs/commands.md names exactly the existing commands and options; docs/rehearse.md those of `rehearse`."""

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import msgspec
import pytest

from flashreserve import cli
from flashreserve.cli.main import CommandEntry, flashreserve
from flashreserve.cli.product_file import COLUMNS
from flashreserve.cli.trail import TRAIL_COLUMNS
from flashreserve.rehearsal.verdict import Verdict
from flashreserve.service.export import CSV_COLUMNS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "commands.md").read_text()
REHEARSE_PAGE = (DOCS / "rehearse.md").read_text()
COMMAND = re.compile(r"^\| `flashreserve ([a-z -]+?)(?: [A-Z\[].*?)?` \|", re.MULTILINE)


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, entry in group.commands.items():
        command = entry.command() if isinstance(entry, CommandEntry) else entry
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        elif not command.hidden:
            yield path + name, command


def test_every_command_is_documented_and_no_other() -> None:
    assert set(COMMAND.findall(PAGE)) == {path for path, _ in commands(flashreserve)}


def test_every_command_of_a_module_can_be_run() -> None:
    modules = [import_module(f"{cli.__name__}.{module.name}") for module in pkgutil.iter_modules(cli.__path__)]
    made = {value for module in modules for value in vars(module).values() if isinstance(value, click.Command)}
    entries = {entry for entry in made if isinstance(entry, CommandEntry)}
    reached = {entry.command() for entry in flashreserve.commands.values() if isinstance(entry, CommandEntry)}
    reached |= {command for group in reached if isinstance(group, click.Group) for command in group.commands.values()}

    assert made - entries - reached == {flashreserve}


def test_every_command_has_its_first_line_of_help_in_the_list_of_commands() -> None:
    entries = [entry for entry in flashreserve.commands.values() if isinstance(entry, CommandEntry)]

    assert [(entry.name, entry.hidden) for entry in entries] == [
        (entry.command().name, entry.command().hidden) for entry in entries
    ]
    assert [entry for entry in entries if not (entry.command().help or "").startswith(entry.help or "?")] == []


@pytest.mark.parametrize("path", [path for path, _ in commands(flashreserve)])
def test_every_option_of_a_command_is_documented(path: str) -> None:
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith(f"| `flashreserve {path}"))
    if path == "rehearse":
        rows = REHEARSE_PAGE.partition("## Options")[2]
    command = dict(commands(flashreserve))[path]
    options = [name for each in command.params if isinstance(each, click.Option) for name in each.opts]

    assert [name for name in options if name not in rows] == []


def test_the_page_of_rehearse_has_its_options_with_their_defaults_and_no_other() -> None:
    table = REHEARSE_PAGE.partition("## Options")[2].partition("\n## ")[0]
    documented = dict(re.findall(r"^\| `(--[a-z-]+)` \|\s*`?([^`|]*?)`?\s*\|", table, re.MULTILINE))
    options = [each for each in dict(commands(flashreserve))["rehearse"].params if isinstance(each, click.Option)]

    assert documented == {each.opts[0]: _default(each) for each in options}


def _default(option: click.Option) -> str:
    shown = option.to_info_dict()["default"]
    return "" if option.is_flag or option.multiple or not isinstance(shown, str | int | float) else str(shown)


def test_the_page_of_rehearse_names_every_field_of_its_verdict() -> None:
    table = REHEARSE_PAGE.partition("## The verdict as JSON")[2]
    named = re.findall(r"`([a-zA-Z]+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)))

    assert sorted(named) == sorted(field.encode_name for field in msgspec.structs.fields(Verdict))


def test_every_column_of_a_file_of_products_is_documented() -> None:
    assert set(_first_cells("## A file of products")) == set(COLUMNS)


def test_every_column_of_the_export_is_documented_in_order() -> None:
    assert tuple(_first_cells("## The export of reservations")) == CSV_COLUMNS


def test_every_column_of_the_trail_is_documented_in_order() -> None:
    assert tuple(_first_cells("## The trail as a table")) == TRAIL_COLUMNS


def _first_cells(heading: str) -> list[str]:
    """The names in the first column of the table under this heading of docs/commands.md."""
    table = PAGE.partition(f"{heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"`([a-zA-Z]+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)))
