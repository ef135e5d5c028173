"""Marshmallow fields: how 1C writes one value. What `mappings/fields.py` promises holds here too."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from email_validator import EmailNotValidError, validate_email
from marshmallow import ValidationError

from mappings.fields import ExactText, Labelled
from mappings.money import rounded
from mappings.phone import normalise_phone

_NO_REFERENCE = "00000000-0000-0000-0000-000000000000"
_FIRST_YEAR = 1900
# Time zones are exact to the second before 1900, and 1C's empty date is of the year 1.
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2}(:[0-9]{2})?)"
)
_AMOUNT = re.compile(r"[+-]?[0-9]{1,13}([.,][0-9]{1,15})?")
_TOO_LARGE = 10**13
TOO_LARGE_ID = 10**18
_BETWEEN_PHONES = re.compile(r"[,;\n]")
_BETWEEN_EMAILS = re.compile(r"[,;\s]+")


class OneCKey(ExactText):
    """A GUID, or a code that 1C sends in its place; the empty reference is nothing."""

    def read(self, value: Any) -> str | None:
        text = super().read(value)
        return None if text == _NO_REFERENCE else text


class Moment(Labelled[datetime]):
    """An ISO date-time with offset, in whole seconds; the year 1 is 1C's way to say nothing."""

    unreadable = "Не распознана дата в поле «{label}»"

    def read(self, value: Any) -> datetime | None:
        if not isinstance(value, str):
            raise self.make_error("unreadable")
        text = value.strip()
        if not text:
            return None
        if not _MOMENT.fullmatch(text):
            raise self.make_error("unreadable")
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise self.make_error("unreadable") from None
        if moment.year == 1:
            return None
        if moment.year < _FIRST_YEAR:
            raise ValidationError(f"Год раньше {_FIRST_YEAR} в поле «{self.metadata['label']}»")
        return moment.replace(microsecond=0)


class Flag(Labelled[bool]):
    """True, or nothing."""

    def read(self, value: Any) -> bool:
        if value is not True:
            raise self.make_error("unreadable")
        return True


class Comment(Labelled[str]):
    """Text on any number of lines, without control characters and halves of surrogate pairs."""

    def read(self, value: Any) -> str | None:
        if not isinstance(value, str):
            raise self.make_error("unreadable")
        lines = value.replace("\r\n", "\n").replace("\r", "\n")
        sendable = (char for char in lines if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cs"})
        return "".join(sendable).strip() or None


class Revenue(Labelled[Decimal]):
    """A number of JSON, or text as 1C prints one: any white space between digits, a point or a comma. Not negative."""

    unreadable = "Не распознано число в поле «{label}»"

    def read(self, value: Any) -> Decimal | None:
        number = self._number("".join(value.split()) if isinstance(value, str) else value)
        if number is not None and rounded(number) < 0:
            raise ValidationError(f"Отрицательное число в поле «{self.metadata['label']}»")
        return number if number is None else max(Decimal(0), number)

    def _number(self, value: Any) -> Decimal | None:
        if value == "":
            return None
        if isinstance(value, str) and _AMOUNT.fullmatch(value):
            return Decimal(value.replace(",", "."))
        # NaN and infinity compare false, and what is compared first need not be printed at any length.
        if type(value) in (int, float) and -_TOO_LARGE < value < _TOO_LARGE:
            return Decimal(str(value))
        raise self.make_error("unreadable")


@dataclass(frozen=True)
class Several:
    """What people wrote into a list: what could be read, in order and each once, and whether something could not."""

    readable: tuple[str, ...] = ()
    has_unreadable: bool = False

    def __bool__(self) -> bool:
        return bool(self.readable) or self.has_unreadable


class _Texts(Labelled[Several]):
    """A list of texts, each of which may hold several values or none."""

    def _several(self, value: Any, read: Callable[[str], list[str]]) -> Several | None:
        found = [read(text) for text in self._filled(value)]
        # The first spelling stays: addresses that differ in case only are one and the same to CoMagic's users.
        first = {each.lower(): each for values in reversed(found) for each in reversed(values)}
        in_order = dict.fromkeys(each.lower() for values in found for each in values)
        return Several(tuple(first[each] for each in in_order), not all(found)) or None

    def _filled(self, value: Any) -> list[str]:
        if not isinstance(value, list):
            raise self.make_error("unreadable")
        texts = [self._text(item) for item in value]
        return [text for text in texts if text.strip()]

    def _text(self, item: Any) -> str:
        if item is None:
            return ""
        if type(item) is int and 0 <= item < TOO_LARGE_ID:
            return str(item)
        if not isinstance(item, str):
            raise self.make_error("unreadable")
        return item


class PhoneNumbers(_Texts):
    """Every number, normalised; one that begins with + or 00 may be foreign."""

    unreadable = "Не распознан номер в поле «{label}»"

    def read(self, value: Any) -> Several | None:
        return self._several(value, _phones)


class EmailAddresses(_Texts):
    """Every valid address, domain in lower case. Deliverability is not looked up: that would be I/O."""

    unreadable = "Не распознан адрес в поле «{label}»"

    def read(self, value: Any) -> Several | None:
        return self._several(value, _emails)


def _phones(text: str) -> list[str]:
    numbers = [each.strip() for each in _BETWEEN_PHONES.split(text)]
    read = (normalise_phone(each, allow_foreign=each.startswith(("+", "00"))) for each in numbers)
    return [number for number in read if number]


def _emails(text: str) -> list[str]:
    addresses = []
    for candidate in _BETWEEN_EMAILS.split(text):
        try:
            addresses.append(validate_email(candidate, check_deliverability=False).normalized)
        except EmailNotValidError:
            continue
    return addresses
