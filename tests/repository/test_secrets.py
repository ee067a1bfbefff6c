"""No key or password is in the repository, as far as detect-secrets can recognise one by its form."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

NEW_LINE = "\n"
REASON = "detect-secrets isn't installed: run make .venv"
scan = pytest.importorskip("detect_secrets.core.scan", reason=REASON)
mapping = pytest.importorskip("detect_secrets.core.plugins.util", reason=REASON).get_mapping_from_secret_type_to_class
settings = pytest.importorskip("detect_secrets.settings", reason=REASON)

# Each detector knows the form of one issuer, so a false match is very rare.
ISSUERS = (
    "ArtifactoryDetector",
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "CloudantDetector",
    "DiscordBotTokenDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "IbmCloudIamDetector",
    "MailchimpDetector",
    "NpmDetector",
    "OpenAIDetector",
    "PrivateKeyDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "SquareOAuthDetector",
    "StripeDetector",
    "TelegramBotTokenDetector",
    "TwilioKeyDetector",
)
LOOKS = ("BasicAuthDetector", "JwtTokenDetector", "KeywordDetector")
"""Detectors of general forms of passwords and tokens. Tests contain many invented ones, so these skip tests."""

EXAMPLES = re.compile(
    r"a long password|correct horse battery|another battery, quite new|PASSWORD|FLASHRESERVE_[A-Z_]+|\$.*"
    r"|(unknown|revoked)-api-key|issuers|api_key(\.\w+)?|whsec_…"
)
"""Placeholders for secrets in the docs, names of variables and codes, and values that a shell substitutes."""

SKIPPED = {".svg", ".json", ".txt"}
"""File types of plots, figures, lock files and lists of hashes."""

VENDORED = {"swagger", "vendor"}
"""Directories of other projects' files."""


def secrets_in(directory: Path, paths: Sequence[Path]) -> list[str]:
    """A line for each secret, those of issuers first."""
    real = [path for path in paths if path.parts[0] not in {"tests", "bench"} and not is_labels(path)]
    found = [line for path in paths for line in of_issuers(path, (directory / path).read_text(encoding="utf-8"))]
    config = {
        "plugins_used": [{"name": name} for name in LOOKS],
        "filters_used": [{"path": "detect_secrets.filters.allowlist.is_line_allowlisted"}],
    }
    with settings.transient_settings(config):
        for path in real:
            secrets = [
                each for each in scan.scan_file(str(directory / path)) if not EXAMPLES.fullmatch(each.secret_value)
            ]
            found += [f"{path}:{each.line_number}: {each.type}" for each in secrets]
    return found


def is_labels(path: Path) -> bool:
    """Whether the file has texts that the web pages show. The label of a field for a password looks like one."""
    return path.suffix == ".js" and "texts" in {path.stem, path.parent.name}


def of_issuers(path: Path, text: str) -> list[str]:
    """Search all lines at once. Line by line, the library takes half a minute."""
    classes = [each for each in mapping().values() if each.__name__ in ISSUERS]
    assert len(classes) == len(ISSUERS)
    return [
        f"{path}:{text[: text.index(secret)].count(NEW_LINE) + 1}: {each.secret_type}"
        for each in classes
        for secret in each().analyze_string(text)
    ]


def test_no_file_has_a_secret_in_it(root: Path, texts: dict[Path, str]) -> None:
    searched = [path for path in texts if path.suffix not in SKIPPED and not VENDORED & set(path.parts)]

    assert secrets_in(root, searched) == []


@pytest.mark.parametrize(
    ("name", "line", "kind"),
    [
        ("tests/a.py", "KEY = 'AKIA" + "Z3MSJV4WWNKWABCD'", "AWS Access Key"),
        ("tests/a.pem", "-----BEGIN " + "PRIVATE KEY-----", "Private Key"),
        ("docs/a.md", "ghp_" + "a1B2" * 9, "GitHub Token"),
        ("src/a.py", "password = 'hunter2" + "hunter2'", "Secret Keyword"),
        ("docs/a.md", "mongodb://shop:hunter2" + "@db.example/shop", "Basic Auth Credentials"),
    ],
)
def test_a_secret_that_gets_in_is_found(tmp_path: Path, name: str, line: str, kind: str) -> None:
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text(f"{line}\n")

    assert secrets_in(tmp_path, [Path(name)]) == [f"{name}:1: {kind}"]
