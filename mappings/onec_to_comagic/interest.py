"""A 1C Interest as its source shows it, the same for both mappings: names, labels, and what is judged of its dates."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, cast

from marshmallow import EXCLUDE, Schema, ValidationError, validates
from marshmallow.experimental.context import Context

from mappings.fields import PersonName
from mappings.onec_fields import Comment, EmailAddresses, Flag, Moment, OneCKey, PhoneNumbers, Revenue, Several
from mappings.onec_to_comagic.interest_fields import CommunicationId, CommunicationType
from mappings.outcome import FieldUse

Interest = Mapping[str, Any]
"""Values by code, as the fields below load them; those that could not be read are absent."""

CLOCKS_DIFFER = timedelta(days=1)
DELETED = "deleted in 1C"


class InterestSchema(Schema):
    """An Interest, or of it what `codes` name. The labels are those of 1C."""

    class Meta:
        unknown = EXCLUDE

    id = OneCKey("Ссылка", required=True)
    name = PersonName("Тема")
    created_at = Moment("Дата", required=True)
    stage = OneCKey("Состояние интереса", required=True)
    stage_changed_at = Moment("Дата изменения состояния")
    modified_at = Moment("Дата изменения")
    revenue = Revenue("Ожидаемая выручка")
    comment = Comment("Описание")
    phones = PhoneNumbers("Телефон")
    emails = EmailAddresses("Электронная почта")
    communication_id = CommunicationId("Идентификатор обращения")
    communication_type = CommunicationType("Вид обращения")
    is_deleted = Flag("Пометка удаления")

    def __init__(self, codes: tuple[str, ...]) -> None:
        self.codes = codes
        super().__init__(only=codes)

    @validates("created_at", "stage_changed_at", "modified_at")
    def moment_is_not_in_the_future(self, value: datetime | None, data_key: str) -> None:
        """A later stage must not be dated earlier (facts/comagic §8), so one in the future would bar those to come."""
        if value and value.date() > Context[date].get() + CLOCKS_DIFFER:
            raise ValidationError(f"Дата в будущем в поле «{self.label(data_key)}»")

    def read(self, raw: Mapping[str, Any], *, today: date) -> tuple[Interest, dict[str, list[str]]]:
        """What could be read, and messages by code in the order of `codes` for what could not."""
        try:
            with Context(today):
                return self.load(raw), {}
        except ValidationError as error:
            errors = {code: error.messages_dict[code] for code in self.codes if code in error.messages_dict}
            return cast("Interest", error.valid_data), errors

    def needs(self) -> tuple[FieldUse, ...]:
        """The fields as `parom check` names them; of what type they are in 1C, its connector knows."""
        return tuple(FieldUse(code, self.label(code), types=()) for code in self.codes)

    def label(self, code: str) -> str:
        return str(self.fields[code].metadata["label"])

    def unreadable(self, interest: Interest, *codes: str) -> Iterator[str]:
        """One message for each list of which something had to be left out."""
        for code in codes:
            several: Several | None = interest[code]
            if several and several.has_unreadable:
                yield str(self.fields[code].make_error("unreadable"))

    def unnamed(self, interest: Interest) -> Iterator[str]:
        """The message for an Interest without subject."""
        if not interest["name"]:
            yield f"Не заполнено поле «{self.label('name')}», в названии передана дата"


def title(interest: Interest) -> str:
    """The subject, or what 1C itself would print for a document without one."""
    return interest["name"] or f"Интерес от {interest['created_at']:%d.%m.%Y}"


def readable(interest: Interest, code: str) -> list[str]:
    """The phones or e-mails that can be sent."""
    several: Several | None = interest[code]
    return list(several.readable) if several else []


def has_contact(interest: Interest) -> bool:
    """Whether there is a contact card of this Interest in CoMagic."""
    return bool(readable(interest, "phones") or readable(interest, "emails"))


def user_fields(interest: Interest, *, field: str) -> dict[str, list[dict[str, str]]]:
    """CoMagic's custom field with the id of the call or request, if that is known."""
    value = interest["communication_id"]
    return {"user_fields": [{"ext_id": field, "value": value}]} if value else {}
