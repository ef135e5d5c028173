"""A Bitrix24 contact → a client of otmechalka. Brief 003 «Маппинг полей контакта» as facts/otmechalka resolve it:
§4 table, §5 rules, §6, §7. Field codes, dictionaries and rules are options.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date
from typing import Any, cast

from marshmallow import EXCLUDE, Schema, ValidationError, validates, validates_schema
from marshmallow.experimental.context import Context
from marshmallow.fields import Field

from mappings.bitrix24_to_otmechalka.contact_options import ContactOptions, Rule
from mappings.bitrix24_to_otmechalka.references import Reference
from mappings.fields import DatePart, EnumIds, FirstEmail, PersonName, PhoneNumber, SourceId
from mappings.outcome import FieldUse, Mapped, Skipped


class ContactSchema(Schema):
    """The brief's table, row by row. Constants and what is derived from several fields is added by the mapping."""

    class Meta:
        unknown = EXCLUDE

    origin_id = SourceId("Уникальный идентификатор", required=True)
    last_name = PersonName("Фамилия ученика")
    first_name = PersonName("Имя ученика")
    phone = PhoneNumber("Телефон", required=True)
    email = FirstEmail("Email")
    products = EnumIds("Продукт")
    branches = EnumIds("Филиал")
    birthdate = DatePart("Дата рождения ученика")
    parent_last_name = PersonName("Фамилия родителя")
    parent_first_name = PersonName("Имя родителя")

    def __init__(self, options: ContactOptions) -> None:
        self.options = options
        self.codes = {"origin_id": "ID", **asdict(options.fields)}
        super().__init__()

    def on_bind_field(self, field_name: str, field_obj: Field[Any]) -> None:
        field_obj.data_key = self.codes[field_name]
        if isinstance(field_obj, PhoneNumber):
            field_obj.allow_foreign = self.options.allow_foreign_phones

    @validates("birthdate")
    def birthdate_is_not_in_the_future(self, value: date | None, **_: Any) -> None:
        if value and value > Context[date].get():
            raise ValidationError(f"Дата в будущем в поле «{self.label('birthdate')}»")

    @validates_schema(skip_on_field_errors=False)
    def names_are_complete(self, contact: Mapping[str, Any], **_: Any) -> None:
        """A family and a given name are judged together: people write both into one field (brief 003)."""
        errors = self._name_errors(contact, "last_name", "first_name", whose="ученика")
        if self.options.require_parent_name:
            errors |= self._name_errors(contact, "parent_last_name", "parent_first_name", whose="родителя")
        if errors:
            raise ValidationError(errors)

    def _name_errors(self, contact: Mapping[str, Any], last: str, first: str, *, whose: str) -> dict[str, list[str]]:
        # An unreadable name is absent from `contact` and has its error already; an empty one is None.
        empty = [name for name in (last, first) if contact.get(name, "unreadable") is None]
        if not empty:
            return {}
        if empty == [last, first]:
            return {self.codes[last]: [f"Не заполнены фамилия и имя {whose}"]}
        filled = first if empty == [last] else last
        text = f"Не заполнено поле «{self.label(empty[0])}»"
        if " " in contact.get(filled, ""):
            text += f": похоже, фамилия и имя вместе в поле «{self.label(filled)}»"
        return {self.codes[empty[0]]: [text]}

    def label(self, name: str) -> str:
        return str(self.fields[name].metadata["label"])


# Types in crm.contact.fields that each kind of field can read.
BITRIX24_TYPES: Mapping[type[Field[Any]], tuple[str, ...]] = {
    SourceId: ("integer",),
    PersonName: ("string",),
    PhoneNumber: ("crm_multifield",),
    FirstEmail: ("crm_multifield",),
    EnumIds: ("enumeration",),
    DatePart: ("date", "datetime"),
}


class Bitrix24ContactToOtmechalkaClient:
    """A pupil's contact → the client of otmechalka whose `origin_id` is the contact's ID."""

    def __init__(self, options: ContactOptions) -> None:
        self._options = options
        self._schema = ContactSchema(options)
        self.fields = options.codes
        self.conditions: Mapping[str, tuple[str, ...]] = {}

    def needs(self) -> tuple[FieldUse, ...]:
        """The fields of the brief's table, with the products and branches that the rules name."""
        rules = self._options.rules
        options = {
            "products": frozenset(rule.product for rule in rules),
            "branches": frozenset(rule.branch for rule in rules if rule.branch is not None),
        }
        uses = []
        for name, code in self._schema.codes.items():
            types = BITRIX24_TYPES[type(self._schema.fields[name])]
            uses.append(FieldUse(code, self._schema.label(name), types, options.get(name, frozenset())))
        return tuple(uses)

    def map(self, raw: Mapping[str, Any], *, today: date) -> Mapped | Skipped:
        """The client to send, or Skipped if no course or no branch office is left, however wrong the rest is.

        Raises ValidationError if a field is wrong. Only an unreadable e-mail is a warning: it is optional.
        """
        contact, errors = self._read(raw, today)
        warnings = errors.pop(self._options.fields.email, [])
        matching = self._matching_rules(contact)
        courses = self._references(self._options.courses, (key for rule in matching for key in rule.courses))
        branchoffices = self._references(self._options.branchoffices, (rule.branchoffice for rule in matching))
        if contact.keys() >= {"products", "branches"} and not (courses and branchoffices):
            chosen = (contact["products"] or [], contact["branches"] or [])
            return Skipped("no rule matches products {} with branches {}".format(*chosen))
        if errors:
            raise ValidationError(errors)
        return Mapped(self._payload(contact, courses, branchoffices), tuple(warnings))

    def _read(self, raw: Mapping[str, Any], today: date) -> tuple[dict[str, Any], dict[str, list[str]]]:
        try:
            with Context(today):
                return self._schema.load(raw), {}
        except ValidationError as error:
            # Names are judged last; people read the errors in the order of the table.
            errors = {code: error.messages_dict[code] for code in self.fields if code in error.messages_dict}
            return cast("dict[str, Any]", error.valid_data), errors

    def _matching_rules(self, contact: Mapping[str, Any]) -> list[Rule]:
        products, branches = contact.get("products") or (), contact.get("branches") or ()
        return [rule for rule in self._options.rules if rule.product in products and rule.branch in {None, *branches}]

    def _references(self, table: Mapping[str, Reference], keys: Iterable[str]) -> list[str]:
        return [getattr(table[key], self._options.reference_mode) for key in dict.fromkeys(keys)]

    def _payload(self, contact: Mapping[str, Any], courses: list[str], branchoffices: list[str]) -> dict[str, Any]:
        birthdate = contact["birthdate"]
        parent = filter(None, (contact["parent_last_name"], contact["parent_first_name"]))
        payload = {
            "origin_id": contact["origin_id"],
            "last_name": contact["last_name"],
            "first_name": contact["first_name"],
            "phone": contact["phone"],
            "email": contact.get("email"),
            "courses": courses,
            "branchoffices": branchoffices,
            "birthdate": birthdate and birthdate.isoformat(),
            "gender": self._options.gender,
            "additional_data": " ".join(parent) or None,
        }
        return {key: value for key, value in payload.items() if value is not None or self._options.send_nulls}
