"""The form of the pages: how each begins, and that its summary agrees with the rest."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.docs.pages import PAGES, ROOT, name_of, prose_of

TEXTS: Final = (ROOT / "ARCHITECTURE.md", *PAGES, ROOT / "docs" / "adr" / "README.md")

SENTENCE_END: Final = re.compile(r"(?<=[.!?:])\s+(?=[A-Z`*\[])")
OPENINGS: Final = ("What ", "Whatever ", "Who ", "Whoever ", "As far as ", "Dear")
"""Openings that put the subject last, so that the sentence must be read twice."""


def paragraphs_of(page: Path) -> Iterator[str]:
    """The paragraphs and list items, without headings and tables."""
    for part in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", prose_of(page)):
        text = " ".join(part.split())
        if text and not text.startswith(("#", "|", "<!--")):
            yield re.sub(r"^(?:[-*]|\d+\.) ", "", text)


@pytest.mark.parametrize("page", [page for page in TEXTS if page.name != "README.md"], ids=name_of)
def test_a_page_opens_with_two_sentences_on_what_it_is_for(page: Path) -> None:
    title, opening = prose_of(page).split("\n\n")[:2]

    assert title.startswith("# ")
    assert len(SENTENCE_END.split(" ".join(opening.split()))) == 2


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_no_sentence_of_the_docs_hides_its_subject(page: Path) -> None:
    sentences = [sentence for text in paragraphs_of(page) for sentence in SENTENCE_END.split(text)]

    assert [each for each in sentences if each.lstrip("*").startswith(OPENINGS) and not each.endswith("?")] == []


def test_the_summary_of_the_proof_has_no_figure_that_what_follows_has_not() -> None:
    page = (ROOT / "docs" / "proof.md").read_text(encoding="utf-8").replace(",", "")
    summary, _, rest = page.partition("## In short\n")[2].partition("\n## ")
    figures = re.findall(r"\b\d{3,}\b|\b\d+ of \d+\b", summary)

    assert len(figures) > 5
    assert [figure for figure in figures if not re.search(rf"\b{figure}\b", rest)] == []
