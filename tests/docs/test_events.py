"""docs/events.md shows each type of event as the OpenAPI document does."""

import json
import re
from typing import Final

from tests.docs.pages import ROOT

from flashreserve.core.events import EventType
from flashreserve.http.event_views import EVENT_BYTES_MAX
from flashreserve.http.operations.event_examples import EVENTS
from flashreserve.settings import EVENTS_DAYS_DEFAULT

PAGE: Final = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
BLOCK: Final = re.compile(r"```json\n(.*?)```", re.DOTALL)


def test_every_type_is_shown_with_its_data_in_the_order_of_the_code_and_no_other() -> None:
    shown = re.findall(r"^### `([\w.]+)`\n(.*?)(?=^### |\Z)", PAGE, re.DOTALL | re.MULTILINE)

    assert [type_ for type_, _ in shown] == [type_.value for type_ in EventType]
    for type_, text in shown:
        (block,) = BLOCK.findall(text)
        assert json.loads(block) == EVENTS[type_]["data"]


def test_the_whole_event_is_shown_and_each_of_its_fields_explained() -> None:
    section = PAGE.partition("## The form of an event\n")[2].partition("\n## ")[0]
    (block,) = BLOCK.findall(section)
    explained = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)

    assert json.loads(block) == EVENTS["reservation.confirmed"]
    assert list(json.loads(block)) == explained


def test_the_page_has_the_limits_of_the_code() -> None:
    assert f"at most {EVENT_BYTES_MAX // 1000} kB" in PAGE
    assert f"kept for {EVENTS_DAYS_DEFAULT} days" in PAGE
