import re
import tomllib
from pathlib import Path

# Written in parts, so that the test doesn't find this file.
INDEX_HOSTS = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))]
HOME = re.compile(r"(?<![\w.}>)])/(?:home|root|Users)/\w")
IGNORED_RULE = re.compile(r'^    "[A-Z]+[0-9]*",(?P<reason>.*)$', re.MULTILINE)


def test_no_text_names_the_host_of_a_package_index(texts: dict[Path, str]) -> None:
    naming = [str(path) for path, text in texts.items() if any(host in text.lower() for host in INDEX_HOSTS)]

    assert naming == []


def test_no_text_names_a_home_directory(texts: dict[Path, str]) -> None:
    naming = [(str(path), match[0]) for path, text in texts.items() if (match := HOME.search(text))]

    assert naming == []


def test_no_database_key_or_lock_of_another_tool_is_tracked(texts: dict[Path, str]) -> None:
    unwanted = {".env", "uv.lock", "poetry.lock", "Pipfile.lock"}

    assert [str(path) for path in texts if path.name in unwanted or path.parts[0] == "data"] == []


def test_every_ignored_lint_rule_says_why(root: Path) -> None:
    ignored = IGNORED_RULE.findall((root / "pyproject.toml").read_text())

    assert all(re.match(r"\s*# \w", reason) for reason in ignored), ignored
    assert len(ignored) >= len(ignored_rules(root))


def ignored_rules(root: Path) -> list[str]:
    lint = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    return [*lint["ignore"], *(rule for rules in lint["per-file-ignores"].values() for rule in rules)]


def test_the_licence_is_the_one_that_the_package_declares(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    licence = (root / "LICENSE").read_text()

    assert licence.startswith(f"{project['license']} License\n")
    assert "FlashReserve contributors" in licence
