"""A 1C Interest → a contact card of CoMagic. Brief 000 §1 and §3 as facts/comagic §12 #1-#3, #8-#10 resolve it."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from marshmallow import ValidationError

from mappings.onec_to_comagic.contact_options import ContactOptions
from mappings.onec_to_comagic.interest import (
    DELETED,
    Interest,
    InterestSchema,
    has_contact,
    readable,
    title,
    user_fields,
)
from mappings.outcome import FieldUse, Mapped, Skipped


class OneCInterestToCoMagicContact:
    """An Interest with a phone or an e-mail → the contact card whose `ext_id` is that of the Interest."""

    def __init__(self, options: ContactOptions) -> None:
        self._options = options
        self._schema = InterestSchema(options.codes)
        self.fields = options.codes
        self.conditions: Mapping[str, tuple[str, ...]] = {}

    def needs(self) -> tuple[FieldUse, ...]:
        """The fields that a card shows."""
        return self._schema.needs()

    def map(self, raw: Mapping[str, Any], *, today: date) -> Mapped | Skipped:
        """The card to send; Skipped if the Interest is deleted or has nothing to reach anybody by, whatever is wrong.

        Raises ValidationError if a field is wrong. A phone or e-mail that cannot be read, and no subject, is a warning.
        """
        interest, errors = self._schema.read(raw, today=today)
        if interest.get("is_deleted"):
            return Skipped(DELETED)
        if interest.keys() >= {"phones", "emails"} and not has_contact(interest):
            is_filled = interest["phones"] or interest["emails"]
            return Skipped("no readable phone or e-mail" if is_filled else "no phone and no e-mail")
        if errors:
            raise ValidationError(errors)
        warnings = (*self._schema.unnamed(interest), *self._schema.unreadable(interest, "phones", "emails"))
        return Mapped(self._payload(interest), warnings)

    def _payload(self, interest: Interest) -> dict[str, Any]:
        # Both lists always: an update replaces them whole, and an omitted one would keep what 1C no longer has.
        card = {
            "ext_id": interest["id"],
            "name": title(interest),
            "created_date_time": interest["created_at"].isoformat(),
            "phone_numbers": readable(interest, "phones"),
            "emails": readable(interest, "emails"),
        }
        if self._options.contact_user_fields:
            card |= user_fields(interest, field=self._options.communication_field)
        return card
