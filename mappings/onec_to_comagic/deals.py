"""A 1C Interest → a row of the deal's history in CoMagic. Brief 000 §1 and §2 as facts/comagic §8 and §12 resolve it:
every row is whole (#5-#7), and the call is linked natively as well as by the custom field (#4).
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from marshmallow import ValidationError

from mappings.money import rounded
from mappings.onec_to_comagic.deal_options import DealOptions, Stage
from mappings.onec_to_comagic.interest import DELETED, Interest, InterestSchema, has_contact, title, user_fields
from mappings.outcome import FieldUse, Mapped, Skipped

LONGEST_COMMENT = 2000
LONGEST_NUMBER = 18  # digits of an id of CoMagic's
LEAVES_OUT = ("modified_at", "communication_type")  # unreadable is a warning: the row does without


class OneCInterestToCoMagicDeal:
    """An Interest at its stage → the row that makes or moves the deal whose `ext_id` is that of the Interest.

    Phones and e-mails only tell whether there is a contact card: another number is the same payload.
    """

    def __init__(self, options: DealOptions) -> None:
        self._options = options
        self._schema = InterestSchema(options.codes)
        self.fields = options.codes
        self.conditions: Mapping[str, tuple[str, ...]] = {}

    def needs(self) -> tuple[FieldUse, ...]:
        """The fields that make a row."""
        return self._schema.needs()

    def map(self, raw: Mapping[str, Any], *, today: date) -> Mapped | Skipped:
        """The row to send; Skipped if the Interest is deleted, or its state unknown and `skip_unknown_stages` set.

        Raises ValidationError if a field is wrong. What the row can do without is a warning.
        """
        interest, errors = self._schema.read(raw, today=today)
        if interest.get("is_deleted"):
            return Skipped(DELETED)
        stage = self._options.stage_of(interest["stage"]) if "stage" in interest else None
        if "stage" in interest and stage is None:
            if self._options.skip_unknown_stages:
                return Skipped("its state has no stage in CoMagic")
            errors["stage"] = [f"Нет этапа в CoMagic для значения поля «{self._schema.label('stage')}»"]
        left_out = {code: errors.pop(code) for code in LEAVES_OUT if code in errors}
        if errors or stage is None:
            raise ValidationError({code: errors[code] for code in self.fields if code in errors})
        warnings = [text for texts in left_out.values() for text in texts]
        return Mapped(self._payload(interest, stage), (*self._warnings(interest), *warnings))

    def _payload(self, interest: Interest, stage: Stage) -> dict[str, Any]:
        created, moved = interest["created_at"], _moved_at(interest)
        # Unknown, it is left to CoMagic, which takes the time of the call: only a newer one changes a deal's links.
        modified = interest.get("modified_at") and max(moved, interest["modified_at"])
        revenue, comment = interest["revenue"], interest.get("comment")
        row = {
            "ext_id": interest["id"],
            "name": title(interest),
            "created_date_time": created.isoformat(),
            "modified_date_time": modified.isoformat() if modified else None,
            "modified_stage_date_time": moved.isoformat(),
            "closed_date_time": moved.isoformat() if stage.closes else None,
            "sales_funnel_ext_id": self._options.funnel,
            "stage_ext_id": stage.id,
            "contact_ext_ids": [interest["id"]] if has_contact(interest) else None,
            "main_contact_ext_id": interest["id"] if has_contact(interest) else None,
            "revenue": None if revenue is None else str(rounded(revenue)),
            "comments": comment and _shortened(comment),
            **_communication(interest),
            **user_fields(interest, field=self._options.communication_field),
        }
        return {key: value for key, value in row.items() if value is not None}

    def _warnings(self, interest: Interest) -> Iterator[str]:
        yield from self._schema.unnamed(interest)
        label = self._schema.label
        if _moved_at(interest) != (interest["stage_changed_at"] or interest["created_at"]):
            yield f"«{label('stage_changed_at')}» раньше, чем «{label('created_at')}»: передана последняя"
        if len(interest.get("comment") or "") > LONGEST_COMMENT:
            yield f"Передано только начало поля «{label('comment')}»: оно длиннее {LONGEST_COMMENT} знаков"
        if not has_contact(interest):  # what else is unreadable, the flow of contacts says
            yield from self._schema.unreadable(interest, "phones", "emails")
        if interest.get("communication_type") and interest["communication_id"] and not _communication(interest):
            yield f"Не число в поле «{label('communication_id')}»: передано только в пользовательском поле"


def _moved_at(interest: Interest) -> datetime:
    """When it came to its stage: never before it was created, and when it was created if nobody knows."""
    created: datetime = interest["created_at"]
    return max(created, interest["stage_changed_at"] or created)


def _communication(interest: Interest) -> dict[str, str]:
    """CoMagic's own link to the call or request: a number and its type, both or neither."""
    number, kind = interest["communication_id"], interest.get("communication_type")
    is_number = bool(number) and number.isascii() and number.isdigit() and len(number) <= LONGEST_NUMBER
    return {"communication_id": number, "communication_type": kind} if is_number and kind else {}


def _shortened(comment: str) -> str:
    return comment if len(comment) <= LONGEST_COMMENT else comment[: LONGEST_COMMENT - 1] + "…"
