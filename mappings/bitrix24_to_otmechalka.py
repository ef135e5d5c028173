"""Bitrix24 → otmechalka. Brief 003 «Маппинг полей контакта» as facts/otmechalka resolve it: §4 table, §5 rules, §6, §7.

Field codes, dictionaries and rules are configuration; the defaults are the brief's. An id that the brief does not
know is "", and `ContactOptions.problems` refuses to start with it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal, cast

from marshmallow import EXCLUDE, Schema, ValidationError, validates, validates_schema
from marshmallow.experimental.context import Context
from marshmallow.fields import Field

from mappings.fields import DatePart, EnumIds, FirstEmail, PersonName, PhoneNumber, SourceId
from mappings.outcome import FieldUse, Mapped, Skipped


@dataclass(frozen=True)
class ContactFields:
    """Codes of the Bitrix24 contact fields; the names are those of `ContactSchema`."""

    last_name: str = field(default="UF_CRM_57AD7FAF7E6C4", metadata={"help": "pupil's family name"})
    first_name: str = field(default="UF_CRM_1608028374", metadata={"help": "pupil's given name"})
    phone: str = field(default="PHONE", metadata={"help": "parent's phone; the first one filled in is sent"})
    email: str = field(default="EMAIL", metadata={"help": "parent's e-mail; the first valid one is sent"})
    products: str = field(default="UF_CRM_58D15BB9CA8F4", metadata={"help": "list of products"})
    branches: str = field(default="UF_CRM_1470852549", metadata={"help": "list of branches"})
    birthdate: str = field(default="UF_CRM_1607943642", metadata={"help": "pupil's date of birth"})
    parent_last_name: str = field(default="LAST_NAME", metadata={"help": "parent's family name"})
    parent_first_name: str = field(default="NAME", metadata={"help": "parent's given name"})


@dataclass(frozen=True)
class Reference:
    """An entry of one of otmechalka's dictionaries."""

    id: str = field(metadata={"help": "otmechalka's id; empty while unknown"})
    name: str = field(metadata={"help": "exact name in otmechalka, back-ticks and spaces included"})


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one choice in Bitrix24 means in otmechalka."""

    product: int = field(metadata={"help": "id of a product in the Bitrix24 list"})
    branch: int | None = field(
        default=None, metadata={"help": "id of a branch in the Bitrix24 list; left out: any branch or none"}
    )
    courses: tuple[str, ...] = field(metadata={"help": "keys of [courses] that the pupil attends"})
    branchoffice: str = field(metadata={"help": "key of [branchoffices] where the pupil attends them"})


COURSES = {
    "online_group": Reference("10985", "Он-лайн Групповое"),
    "online_individual": Reference("10986", "Он-лайн индивидуальные"),
    "group": Reference("", "Групповые занятия"),
    "individual": Reference("", "Индивидуальные занятия"),
}
BRANCHOFFICES = {
    "online": Reference("2633", "+Он-лайн `МСК"),
    "gogolevsky": Reference("", "+ ЦДШ `МСК"),
    "skolkovo": Reference("", "+ СКОЛКОВО `МСК *"),
}
OFFLINE_CHESS, ONLINE_SCHOOL = 404, 410  # products
GOGOLEVSKY, SKOLKOVO = 48, 12708  # branches
ONLINE = ("online_group", "online_individual")
OFFLINE = ("group", "individual")
RULES = (
    Rule(product=ONLINE_SCHOOL, courses=ONLINE, branchoffice="online"),
    Rule(product=OFFLINE_CHESS, branch=GOGOLEVSKY, courses=OFFLINE, branchoffice="gogolevsky"),
    Rule(product=OFFLINE_CHESS, branch=SKOLKOVO, courses=OFFLINE, branchoffice="skolkovo"),
)


@dataclass(frozen=True)
class ContactOptions:
    """The part of a flow's configuration that this mapping reads."""

    fields: ContactFields = field(
        default_factory=ContactFields, metadata={"help": "which Bitrix24 contact field holds what"}
    )
    courses: Mapping[str, Reference] = field(
        default_factory=COURSES.copy, metadata={"help": "courses of otmechalka, under the keys that rules use"}
    )
    branchoffices: Mapping[str, Reference] = field(
        default_factory=BRANCHOFFICES.copy,
        metadata={"help": "branch offices of otmechalka, under the keys that rules use"},
    )
    rules: tuple[Rule, ...] = field(
        default=RULES, metadata={"help": "product and branch to courses and branch office; all that match count"}
    )
    reference_mode: Literal["id", "name"] = field(
        default="id", metadata={"help": "how courses and branch offices are sent: by id or by name"}
    )
    allow_foreign_phones: bool = field(
        default=False, metadata={"help": "also take numbers of 11-15 digits as they are"}
    )
    require_parent_name: bool = field(
        default=True, metadata={"help": "refuse a contact without the parent's full name; otherwise omit it"}
    )
    send_nulls: bool = field(default=False, metadata={"help": "send empty optional fields as null instead of omitting"})
    gender: Literal["M", "F"] = field(
        default="M", metadata={"help": "sent for every pupil: Bitrix24 has no such field"}
    )

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of all Bitrix24 fields that are read."""
        return ("ID", *asdict(self.fields).values())

    def problems(self) -> Iterator[tuple[str, str]]:
        """What types cannot express: (dotted path below the flow, what is wrong and what to do about it)."""
        if not self.rules:
            yield "rules", "is empty, so every contact would be skipped; leave it out to get the default rules"
        yield from self._ambiguous_fields()
        for number, rule in enumerate(self.rules):
            yield from _unknown_references(f"rules.{number}.courses", rule.courses, known=self.courses)
            yield from _unknown_references(
                f"rules.{number}.branchoffice", (rule.branchoffice,), known=self.branchoffices
            )
        used_courses = {key for rule in self.rules for key in rule.courses}
        used_branchoffices = {rule.branchoffice for rule in self.rules}
        yield from self._unsendable_references("courses", self.courses, used=used_courses)
        yield from self._unsendable_references("branchoffices", self.branchoffices, used=used_branchoffices)

    def _ambiguous_fields(self) -> Iterator[tuple[str, str]]:
        meanings = {"ID": "the contact's own id"}
        for meaning, code in asdict(self.fields).items():
            if not code:
                yield f"fields.{meaning}", "is empty; name the code of the Bitrix24 field"
            elif code in meanings:
                yield f"fields.{meaning}", f"{code} already holds {meanings[code]}; name another Bitrix24 field"
            meanings.setdefault(code, f"fields.{meaning}")

    def _unsendable_references(
        self, name: str, table: Mapping[str, Reference], *, used: set[str]
    ) -> Iterator[tuple[str, str]]:
        mode = self.reference_mode
        hint = {"id": 'ask otmechalka for it, or set reference_mode = "name"', "name": "copy it from otmechalka"}[mode]
        for key, reference in table.items():
            if key in used and not getattr(reference, mode):
                yield f"{name}.{key}.{mode}", f"is empty, but a rule uses «{reference.name or key}»; {hint}"


def _unknown_references(
    path: str, keys: tuple[str, ...], *, known: Mapping[str, Reference]
) -> Iterator[tuple[str, str]]:
    hint = f"name one of {', '.join(known)}"
    if not keys:
        yield path, f"is empty, so the rule has no effect; {hint}"
    for key in keys:
        if key not in known:
            yield path, f"«{key}» is unknown; {hint}"


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
