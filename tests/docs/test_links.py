"""Every link in a text leads to an existing file of the repository, and to an existing heading in it."""

import re
from pathlib import Path
from typing import Final

import pytest
from tests.docs.pages import DECISIONS, PAGES, ROOT, name_of, prose_of

TEXTS: Final = (ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *PAGES, *DECISIONS)
LINK: Final = re.compile(r"\]\(([^)\s]+)\)")


def anchors_of(page: Path) -> set[str]:
    """The names of the page's headings in links: lower case, hyphens for spaces, no punctuation."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for link in LINK.findall(prose_of(page)):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors_of(path)):
            broken.append(link)
    assert broken == []


def test_the_readme_leads_to_every_page_of_the_docs() -> None:
    links = {link.partition("#")[0] for link in LINK.findall(prose_of(ROOT / "README.md"))}
    pages = {str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")}

    assert pages <= links
