"""Marshmallow fields: how one value of a CRM is read, whatever JSON it arrives as (facts/otmechalka §6, bitrix24 §5.3).

A field is declared with the `label` by which a person knows it. Every field loads None for "not filled in" and raises
nothing but ValidationError, in Russian, naming the label and never the value.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Any, TypeVar

from email_validator import EmailNotValidError, validate_email
from marshmallow import ValidationError, fields

from mappings.phone import normalise_phone

T = TypeVar("T")

_INVISIBLE = frozenset({"Cc", "Cf", "Cs"})  # control, zero-width and direction marks, halves of surrogate pairs
_UNSENDABLE = frozenset({"Cc", "Cs"})
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")  # fromisoformat alone also takes 2009-W48-7
_DIGITS = re.compile(r"[0-9]{1,18}")
_TOO_LARGE = 10**18  # for an id; far below the size at which Python refuses to print a number
_FIRST_YEAR = 1900


class Labelled(fields.Field[T | None]):
    """Base of the fields below: tells "not filled in" from "unreadable"."""

    empty = "Не заполнено поле «{label}»"
    unreadable = "Не удалось прочитать поле «{label}»"

    def __init__(self, label: str, *, required: bool = False) -> None:
        messages = {"required": self.empty, "unreadable": self.unreadable}
        super().__init__(
            required=required,
            metadata={"label": label},
            error_messages={key: message.format(label=label) for key, message in messages.items()},
        )

    def deserialize(
        self, value: Any, attr: str | None = None, data: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """The value, or None if nothing is filled in. Raises ValidationError if unreadable, or empty and required."""
        found = None if _is_blank(value) else super().deserialize(value, attr, data, **kwargs)
        if found is None and self.required:
            raise self.make_error("required")
        return found

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> T | None:
        return self.read(value)

    def read(self, value: Any) -> T | None:
        """The value of any JSON that is not blank, or None if it turns out to hold nothing after all."""
        raise NotImplementedError


class SourceId(Labelled[str]):
    """Digits, as a string or a number → a string of digits."""

    unreadable = "Не распознан идентификатор в поле «{label}»"

    def read(self, value: Any) -> str | None:
        number = _whole_number(value)
        if number is None:
            raise self.make_error("unreadable")
        return str(number)


class LinkedId(SourceId):
    """The id of another entity, for which Bitrix24 also writes 0 if there is none."""

    def read(self, value: Any) -> str | None:
        found = super().read(value)
        return None if found == "0" else found


class ExactText(Labelled[str]):
    """Text that must equal a name elsewhere: trimmed outside, inside as it is, be it two spaces."""

    def read(self, value: Any) -> str | None:
        if not isinstance(value, str):
            raise self.make_error("unreadable")
        text = value.strip()
        if any(unicodedata.category(char) in _UNSENDABLE and not char.isspace() for char in text):
            raise self.make_error("unreadable")
        return text or None


class PersonName(Labelled[str]):
    """Text without control and invisible characters; any run of white space (NBSP, line breaks) is one space."""

    def read(self, value: Any) -> str | None:
        if not isinstance(value, str):
            raise self.make_error("unreadable")
        visible = "".join(char for char in value if char.isspace() or unicodedata.category(char) not in _INVISIBLE)
        return " ".join(visible.split()) or None


class Multifield(Labelled[str]):
    """A list of {"VALUE": …}: what PHONE and EMAIL of Bitrix24 have in common."""

    def _values(self, value: Any) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            raise self.make_error("unreadable")
        texts = [self._text(item.get("VALUE")) for item in value]
        return [text for text in texts if text.strip()]

    def _text(self, value: Any) -> str:
        if _is_blank(value):
            return ""
        if isinstance(value, str):
            return value
        number = _whole_number(value)
        if number is None:
            raise self.make_error("unreadable")
        return str(number)


class PhoneNumber(Multifield):
    """The first number filled in, normalised. If it is bad, that is an error: the next may be somebody else's."""

    unreadable = "Не распознан номер в поле «{label}»"
    allow_foreign = False

    def read(self, value: Any) -> str | None:
        values = self._values(value)
        if not values:
            return None
        phone = normalise_phone(values[0], allow_foreign=self.allow_foreign)
        if phone is None:
            raise self.make_error("unreadable")
        return phone


class FirstEmail(Multifield):
    """The first valid address, domain in lower case. Deliverability is not looked up: that would be I/O."""

    unreadable = "Не распознан адрес в поле «{label}»"

    def read(self, value: Any) -> str | None:
        values = self._values(value)
        for candidate in re.split(r"[,;\s]+", " ".join(values)):
            try:
                return validate_email(candidate, check_deliverability=False).normalized
            except EmailNotValidError:
                continue
        if values:
            raise self.make_error("unreadable")
        return None


class DatePart(Labelled[date]):
    """The first 10 characters of an ISO date-time. The offset is the portal's own midnight, so never through UTC."""

    unreadable = "Не распознана дата в поле «{label}»"

    def read(self, value: Any) -> date | None:
        if not isinstance(value, str):
            raise self.make_error("unreadable")
        text = value.strip()[:10]
        if not text:
            return None
        if not _ISO_DATE.fullmatch(text):
            raise self.make_error("unreadable")
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise self.make_error("unreadable") from None
        if day.year < _FIRST_YEAR:
            raise ValidationError(f"Год раньше {_FIRST_YEAR} в поле «{self.metadata['label']}»")
        return day


class EnumIds(Labelled[list[int]]):
    """Ids of the chosen options, in their order, each once: one or a list, numbers or strings of digits."""

    unreadable = "Не распознано значение в поле «{label}»"

    def read(self, value: Any) -> list[int] | None:
        chosen = [item for item in (value if isinstance(value, list) else [value]) if not _is_blank(item)]
        numbers = [number for number in map(_whole_number, chosen) if number is not None]
        if len(numbers) != len(chosen):
            raise self.make_error("unreadable")
        return list(dict.fromkeys(numbers)) or None


def _is_blank(value: Any) -> bool:
    # Bitrix24 says "nothing" as a missing key, null, false, "", [] or {}; the number 0 is a value.
    return not value and type(value) not in (int, float)


def _whole_number(value: Any) -> int | None:
    if isinstance(value, str):
        return int(value) if _DIGITS.fullmatch(value.strip()) else None
    return value if type(value) is int and 0 <= value < _TOO_LARGE else None
