"""Marshmallow fields: how 1C and amoCRM write one value. What `mappings/fields.py` promises holds here too."""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError

from mappings.fields import Labelled, PersonName, SourceId
from mappings.money import rounded
from mappings.onec_fields import Comment, EmailAddresses, OneCKey, PhoneNumbers

LONGEST = 255
"""Characters of a text, in amoCRM as well as in a list of 1C."""
LONGEST_LINK = 1000
"""A link is whole or useless: longer ones are not sent. Percent-encoded Cyrillic makes 1C's long."""
BY_AMO_ID = "amo:"
"""Begins the key of what 1C names by nothing but its id in amoCRM; so no id of 1C's may."""

_RUSSIAN_PERSON, _RUSSIAN_COMPANY, _BELARUSIAN = 12, 10, 9  # digits of an INN and of a UNP
_TOO_LARGE = 10**18
_BETWEEN_DIGITS = re.compile(r"[\s\-]+")
_WEB_LINK = re.compile(r"""https?://[^\s"'<>\\^`{|}]+""", re.IGNORECASE)
_ONEC_LINK = re.compile(r"""e1cib/[^\s"'<>\\^`{|}]+""", re.IGNORECASE)
_BARE_PHONE = re.compile(r"[1-9][0-9]{10,14}")
_FIELD_ID = re.compile(r"[1-9][0-9]{0,17}")
_NEUTRAL = str.maketrans("<>", "‹›")


class Line(PersonName):
    """One line of text that no browser takes for HTML."""

    def read(self, value: Any) -> str | None:
        text = super().read(value)
        return text and neutral(text)


class Number(Line):
    """The number of a document: text, or digits that JSON holds as a number."""

    def read(self, value: Any) -> str | None:
        return super().read(str(value) if type(value) is int and abs(value) < _TOO_LARGE else value)


class AmoId(Labelled[int]):
    """An id in amoCRM, digits or a number; 0 is none."""

    unreadable = SourceId.unreadable

    def read(self, value: Any) -> int | None:
        label = self.metadata["label"]
        return int(SourceId(label).deserialize(value)) or None


class OneCId(OneCKey):
    """A GUID or a code of 1C; the empty reference is nothing. An id is never cut."""

    unreadable = SourceId.unreadable

    def read(self, value: Any) -> str | None:
        text = super().read(value)
        if text and (len(text) > LONGEST or text.startswith(BY_AMO_ID)):
            raise self.make_error("unreadable")
        return text


class Link(Labelled[str]):
    """An address that a browser or 1C's own client opens: http, https or e1cib, and no login in it."""

    unreadable = "Не распознана ссылка в поле «{label}»"

    def read(self, value: Any) -> str | None:
        if not isinstance(value, str):
            raise self.make_error("unreadable")
        text = value.strip()
        if text and (len(text) > LONGEST_LINK or not text.isprintable() or not _leads_somewhere(text)):
            raise self.make_error("unreadable")
        return text or None


class Inn(Labelled[str]):
    """A Russian INN or a Belarusian UNP, as text, number or the value of amoCRM's own type for legal entities."""

    unreadable = "Не распознано значение в поле «{label}»"

    def read(self, value: Any) -> str | None:
        if isinstance(value, Mapping):
            number: str | None = self.deserialize(value.get("vat_id") or value.get("unp"))
            return number
        if type(value) is int and 0 <= value < 10**_RUSSIAN_PERSON:
            value = str(value)
        if not isinstance(value, str):
            raise self.make_error("unreadable")
        digits = _BETWEEN_DIGITS.sub("", value)
        if not digits:
            return None
        is_number = digits.isascii() and digits.isdigit() and digits.strip("0")
        if not is_number or len(digits) not in {_RUSSIAN_PERSON, _RUSSIAN_COMPANY, _BELARUSIAN}:
            raise self.make_error("unreadable")
        return digits


class Phones(PhoneNumbers):
    """The numbers in one text or in a list. Bare digits may be a foreign number: so both directions send it."""

    def read(self, value: Any) -> Any:
        return super().read(value if isinstance(value, list) else [value])

    def _text(self, item: Any) -> str:
        text = super()._text(item)
        return f"+{text.strip()}" if _BARE_PHONE.fullmatch(text.strip()) else text


class Emails(EmailAddresses):
    """The addresses in one text or in a list of them."""

    def read(self, value: Any) -> Any:
        return super().read(value if isinstance(value, list) else [value])


class CustomValues(Labelled[dict[str, Any]]):
    """{field id: [value, …]} → {field id: first value}: text, number or bool; what is none of them is left out."""

    def read(self, value: Any) -> dict[str, Any] | None:
        if not isinstance(value, Mapping):
            raise self.make_error("unreadable")
        firsts = {str(id_): self._first(values) for id_, values in value.items() if is_field_id(str(id_))}
        return {id_: first for id_, first in firsts.items() if first is not None} or None

    def _first(self, values: Any) -> Any:
        first: Any = values[0] if isinstance(values, list) and values else None
        if isinstance(first, str):
            return Comment(self.metadata["label"]).deserialize(first)
        is_number = type(first) in (int, float) and abs(first) < _TOO_LARGE  # which neither NaN nor infinity is
        return first if is_number or isinstance(first, bool) else None


class LinkedRow(Labelled[dict[str, Any]]):
    """The row of another entity."""

    def read(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise self.make_error("unreadable")
        return dict(value)


class Word(Labelled[str]):
    """One of a few words."""

    def __init__(self, label: str, *, known: tuple[str, ...]) -> None:
        self.known = known
        super().__init__(label, required=True)

    def read(self, value: Any) -> str:
        if value not in self.known:
            known = ", ".join(self.known)
            raise ValidationError(f"Неизвестное значение в поле «{self.metadata['label']}», известны: {known}")
        return str(value)


class EventKey(Labelled[str]):
    """40 hexadecimal digits, by which an event is told from others."""

    unreadable = SourceId.unreadable

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{40}", value):
            raise self.make_error("unreadable")
        return value


def is_field_id(text: str) -> bool:
    """Whether `text` is the id of one of amoCRM's fields, not a code."""
    return bool(_FIELD_ID.fullmatch(text))


def neutral(text: str) -> str:
    """`text` with what opens and closes a tag replaced by what only looks like it."""
    return text.translate(_NEUTRAL)


def shortened(text: str) -> str:
    """`text`, or of a longer one as many characters as there is room for."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def whole_roubles(amount: Decimal) -> int:
    """`amount` in kopecks, as 1C's amounts are everywhere (facts/onec.md D3 #11), then in roubles; halves up."""
    return int(rounded(amount).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _leads_somewhere(text: str) -> bool:
    if not _WEB_LINK.fullmatch(text):
        return bool(_ONEC_LINK.fullmatch(text))
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return False
