"""How amoCRM writes what an entity holds, and how we read and change it (facts/amocrm.md §6-§8, §10)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Wire = dict[str, Any]
Shown = Mapping[str, Any]

OURS = "PAROM_"
"""Fields of which the code begins so are ours: rows show them by their code only, or every note would be a change."""
MULTITEXT = ("PHONE", "EMAIL")
TAIL = 10
"""Digits by which phones are compared: +7 and 8 begin the same number."""
SHORTEST_PHONE = 6
LONGEST_NAME = 255
KINDS: Mapping[str, tuple[str, ...]] = {
    "contacts": ("company_id",),
    "companies": (),
    "leads": ("price", "status_id", "pipeline_id", "main_contact", "company"),
}
"""What rows of a kind show besides BASE."""
BASE = ("id", "name", "responsible_user_id", "is_deleted", "values", *MULTITEXT)
INN_KEYS = ("vat_id", "unp", "bin")
"""Of a legal entity: Russia's, Belarus's, Kazakhstan's."""
UNP_DIGITS = 9
_NOT_A_DIGIT = re.compile(r"[^0-9]")
# As the mappings read them (mappings/phone.py), or what they send would be held and not known again.
_BETWEEN_PHONES = re.compile(r"[,;\n]")
_EXTENSION = re.compile(r"#|доб", re.IGNORECASE)
_BETWEEN_EMAILS = re.compile(r"[,;\s]+")


def row_fields(kind: str, shown: Shown, codes: Iterable[str] = (), ours: Iterable[str] = ()) -> Wire:
    """Of an entity as the API shows it, the fields of its row: BASE, what its kind has, and `codes`.

    Choices show their label. `values` are the customer's own: none of MULTITEXT, `codes` and `ours` is among them. A
    lead's `main_contact` and `company` are left to whoever reads those.
    """
    named = {*MULTITEXT, *codes, *ours}
    fields: Wire = {
        "id": shown["id"],
        "name": str(shown.get("name") or ""),
        "responsible_user_id": shown.get("responsible_user_id"),
        "is_deleted": shown.get("is_deleted") is True,
        "values": {
            str(field.get("field_id")): field_values(field)
            for field in custom_fields(shown)
            if not (_is_ours(field) or named & {str(field.get("field_id")), field.get("field_code")})
        },
    }
    fields |= {code: [str(value) for value in values(shown, code) if value] for code in MULTITEXT}
    if kind == "contacts":
        fields["company_id"] = company_id(shown)
    if kind == "leads":
        fields |= {name: shown.get(name) for name in ("price", "status_id", "pipeline_id")}
        fields |= {"main_contact": None, "company": None}
    return fields | {code: next(iter(values(shown, code)), None) for code in codes}


def _is_ours(field: Shown) -> bool:
    return str(field.get("field_code") or "").startswith(OURS)


def custom_fields(shown: Shown) -> list[Shown]:
    """Where nothing is filled in, the API shows null."""
    return [field for field in shown.get("custom_fields_values") or () if isinstance(field, dict)]


def field_values(field: Shown) -> list[Any]:
    return [each.get("value") for each in field.get("values") or () if isinstance(each, dict)]


def entries(shown: Shown, code: str) -> list[Shown]:
    """The values of a field as they are shown, each an object; `code` may be the field's number."""
    for field in custom_fields(shown):
        if code in (str(field.get("field_id")), field.get("field_code")):
            return [each for each in field.get("values") or () if isinstance(each, dict)]
    return []


def values(shown: Shown, code: str) -> list[Any]:
    return [each.get("value") for each in entries(shown, code)]


def text_of(shown: Shown, code: str) -> str:
    """The first value of a field as text; empty if there is none."""
    found = next(iter(values(shown, code)), None)
    return "" if found is None else str(found).strip()


def embedded(shown: Shown, name: str) -> list[Shown]:
    found = shown.get("_embedded")
    listed = found.get(name) if isinstance(found, dict) else None
    return [each for each in listed or () if isinstance(each, dict)]


def lists(body: Any, name: str) -> bool:
    """Whether an answer has a list of this name, be it empty."""
    found = body.get("_embedded") if isinstance(body, dict) else None
    return isinstance(found, dict) and isinstance(found.get(name), list)


def embedded_ids(shown: Shown, name: str) -> list[int]:
    return [each["id"] for each in embedded(shown, name) if isinstance(each.get("id"), int)]


def main_contact_id(lead: Shown) -> int | None:
    contacts = embedded(lead, "contacts")
    main = [each["id"] for each in contacts if each.get("is_main") is True]
    return next(iter([*main, *embedded_ids(lead, "contacts")]), None)


def company_id(shown: Shown) -> int | None:
    """Of a contact or a lead, which have at most one."""
    return next(iter(embedded_ids(shown, "companies")), None)


def phone_tails(text: str) -> tuple[str, ...]:
    """Of each number in `text`, what equal ones have in common, however they are written; too few digits are none."""
    numbers = (_EXTENSION.split(each, maxsplit=1)[0] for each in _BETWEEN_PHONES.split(text))
    digits = (_NOT_A_DIGIT.sub("", each) for each in numbers)
    return tuple(each[-TAIL:] for each in digits if len(each) >= SHORTEST_PHONE)


def same_emails(text: str) -> tuple[str, ...]:
    return tuple(each.casefold() for each in _BETWEEN_EMAILS.split(text) if each)


TELL_APART = {"PHONE": phone_tails, "EMAIL": same_emails}


def spellings(code: str, text: str) -> tuple[str, ...]:
    """What to ask a search for that finds parts of texts as they were typed: a number's end stands in most of them."""
    end = (text[-7:-4], text[-4:-2], text[-2:])
    return (text, "-".join(end), " ".join(end)) if code == "PHONE" and len(text) == TAIL else (text,)


def merged(shown: Shown, code: str, wanted: Sequence[str]) -> list[Wire] | None:
    """All values of PHONE or EMAIL, those of `wanted` first: 1C sees no more than one. None if they are so already.

    A write replaces every value of such a field, so what people entered is sent along, with its kind.
    """
    same = TELL_APART[code]
    held = entries(shown, code)
    known = {key: each for each in reversed(held) for key in same(str(each.get("value") or ""))}
    ours = {keys[0]: text for text in reversed(wanted) if (keys := same(text))}
    wished = (known.get(key) or {"value": spelt(code, ours[key]), "enum_code": "WORK"} for key in reversed(ours))
    first = {id(each): each for each in wished}
    together = [*first.values(), *(each for each in held if id(each) not in first)]
    if together == held:
        return None
    return [{key: each[key] for key in ("value", _kind_key(each)) if each.get(key) is not None} for each in together]


def _kind_key(entry: Shown) -> str:
    return "enum_code" if entry.get("enum_id") is None else "enum_id"


def spelt(code: str, text: str) -> str:
    return f"+{text}" if code == "PHONE" and text.isdecimal() else text


def inn_of(value: Any) -> str:
    """The INN that a field holds, be it a text or a legal entity; digits only."""
    if isinstance(value, dict):
        value = next((value[key] for key in INN_KEYS if value.get(key)), "")
    return _NOT_A_DIGIT.sub("", str(value or ""))


def legal_entity(held: Any, inn: str, name: str) -> Wire:
    """The value `held`, if it lacks an INN, with this one; otherwise a new one, for name and KPP are the old INN's."""
    usual = "unp" if len(inn) == UNP_DIGITS else "vat_id"
    if not isinstance(held, dict):
        return {"name": name, usual: inn}
    key = next((key for key in INN_KEYS if held.get(key)), None)
    if key is None:
        return {**held, usual: inn}
    return {"name": name, key if len(inn_of(held)) == len(inn) else usual: inn}
