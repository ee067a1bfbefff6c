"""What must hold of deliveries: at every instant, and when nothing is left to do."""

from collections.abc import Iterable

from msgspec.structs import replace
from typing_extensions import override

from model.deliveries.documents import DeliveryDocuments, GroupDoc, NextTry
from model.deliveries.fences import ALL_DELIVERY_FENCES
from model.deliveries.processes import deliver, fan_out
from model.processes import Program
from model.scene_space import SceneRules, run_alone

_TURNS_MAX = 12


class DeliveryRules(SceneRules[DeliveryDocuments]):
    """Each event is received or given up, in order; a group has one unexpired lease; no back-off is cut short."""

    @override
    def wrong(self, documents: DeliveryDocuments) -> str | None:
        return documents.fault

    @override
    def passing(self, documents: DeliveryDocuments) -> Iterable[tuple[str, DeliveryDocuments]]:
        for group in documents.groups:
            if group.next is NextTry.LATER:
                due = replace(group, next=NextTry.NOW)
                yield f"{group.subject} is due again", documents.with_group(due)
            if group.is_leased or group.holder is not None:
                yield f"the lease of {group.subject} is over", documents.with_group(_expired(group))

    @override
    def settled(self, documents: DeliveryDocuments) -> DeliveryDocuments:
        documents = replace(documents, failures=0)
        for turn in range(_TURNS_MAX):
            before = documents
            for group in documents.groups:
                later = group.next is NextTry.LATER
                due = replace(_expired(group), next=NextTry.NOW if later else group.next)
                documents = documents.with_group(due)
            documents = run_alone(documents, Program("Y", fan_out, (ALL_DELIVERY_FENCES, 1)))
            documents = run_alone(documents, Program(f"Z{turn}", deliver, (ALL_DELIVERY_FENCES, 1)))
            if documents == before:
                break
        return documents

    @override
    def wrong_at_rest(self, documents: DeliveryDocuments) -> str | None:
        for subject, n in documents.log:
            event = subject, n
            if event not in documents.unwanted and event not in documents.received | documents.given_up:
                return f"LOST: {subject}-{n} is never received"
        for subject, n in sorted(documents.owed):
            return f"NOT REPLAYED: {subject}-{n} is never received again"
        for group in documents.groups:
            if group.next is not NextTry.NEVER:
                return f"STUCK: {group.subject} is never idle"
        return None


def _expired(group: GroupDoc) -> GroupDoc:
    return replace(group, is_leased=False, holder=None)
