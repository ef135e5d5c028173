"""The values of 1C's requests: numbers as text, ids of either type, and four ways to say "nothing" (D3 #11, #12).

A field's `shape` is what the published OpenAPI says of it, and is what it takes. No message shows a value.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, missing

Shape = Mapping[str, Any]

CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
VISIBLE = re.compile("[!-~А-Яа-яЁё]")
GAPS = re.compile("[ \u00a0\u202f]")
NOTHING: Sequence[Shape] = ({"type": "null"}, {"type": "string", "maxLength": 0})
LONGEST_ID = 15
"""Digits: what every JSON reader keeps exactly."""
LARGEST_ID = 10**LONGEST_ID - 1
LARGEST_AMOUNT = 10**12
KOPECK = Decimal("0.01")


def is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not _clean(value))


class Given(fields.Field[Any]):
    """A value that may be absent, null or empty, which are one: None; unless it is required."""

    shapes: Sequence[Shape] = ()
    wanted: str = ""

    def __init__(self, about: str, *, required: bool = False, attribute: str | None = None) -> None:
        either = [*self.shapes] if required else [*self.shapes, *NOTHING]
        shape = either[0] if len(either) == 1 else {"anyOf": either}
        presence: Mapping[str, Any] = {"required": True} if required else {"load_default": None}
        super().__init__(metadata={"description": about, **shape}, attribute=attribute, **presence)
        self.error_messages["required"] = "is required"

    def deserialize(
        self, value: Any, attr: str | None = None, data: Mapping[str, Any] | None = None, **more: Any
    ) -> Any:
        return super().deserialize(missing if is_nothing(value) else value, attr, data, **more)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return self.read(value)

    def read(self, value: Any) -> Any:
        """What is meant by a value that is there. Raises ValidationError."""
        raise NotImplementedError

    def wrong(self) -> ValidationError:
        return ValidationError(f"must be {self.wanted}")


class AmoId(Given):
    """An id in amoCRM: a number or its digits, which 1C groups as it likes; 0 is none."""

    shapes: Sequence[Shape] = (
        {"type": "integer", "minimum": 0, "maximum": LARGEST_ID},
        {"type": "string", "pattern": f"^[0-9](?:[ \u00a0\u202f]?[0-9]){{0,{LONGEST_ID - 1}}}$"},
    )
    wanted = "a whole number of at most 15 digits"

    def read(self, value: Any) -> int | None:
        number = _whole(GAPS.sub("", value.strip())) if isinstance(value, str) else _integral(value)
        if number is None or not 0 <= number <= LARGEST_ID:
            raise self.wrong()
        return number or None


class SomeAmoId(AmoId):
    """An id that is not 0."""

    shapes = (
        {"type": "integer", "minimum": 1, "maximum": LARGEST_ID},
        {"type": "string", "pattern": f"^[1-9](?:[ \u00a0\u202f]?[0-9]){{0,{LONGEST_ID - 1}}}$"},
    )

    def read(self, value: Any) -> int:
        number = super().read(value)
        if number is None:
            raise self.wrong()
        return number


class Account(AmoId):
    """The id of an amoCRM account; of no account is 0."""

    def read(self, value: Any) -> int:
        return super().read(value) or 0


class AccountDigits(Account):
    """As an address bar has it."""

    shapes = (Account.shapes[1],)


class OneCId(Given):
    """An id in 1C: a GUID as a rule, text always."""

    shapes = (
        {"type": "string", "pattern": "^[!-~А-Яа-яЁё№][ -~А-Яа-яЁё№]{0,63}$"},
        {"type": "integer", "minimum": 1, "maximum": LARGEST_ID},
    )
    wanted = "1 to 64 letters, digits, punctuation marks"
    form = re.compile("[ -~А-Яа-яЁё№]{1,64}")

    def read(self, value: Any) -> str:
        number = _integral(value)
        text = str(number) if number else value
        if not isinstance(text, str) or not self.form.fullmatch(text.strip()):
            raise self.wrong()
        return text.strip()


class Text(Given):
    """A text as people wrote it, without control characters; HTML in it is text."""

    longest: ClassVar[int] = 255
    shapes: Sequence[Shape] = (
        {"type": "string", "maxLength": 255},
        {"type": "integer", "minimum": -LARGEST_ID, "maximum": LARGEST_ID},
    )
    wanted = "text of at most 255 characters"

    def read(self, value: Any) -> str:
        number = _integral(value)
        text = value if number is None else str(number)
        if not isinstance(text, str) or len(text) > self.longest:
            raise self.wrong()
        return _clean(text)


class Label(Text):
    """A text with at least one letter, digit or mark."""

    shapes = ({"type": "string", "maxLength": 255, "pattern": VISIBLE.pattern},)

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or not VISIBLE.search(value):
            raise self.wrong()
        return super().read(value)


class Address(Given):
    """A URL, or what 1C has in place of one."""

    longest: ClassVar[int] = 2000
    shapes = ({"type": "string", "maxLength": 2000, "pattern": VISIBLE.pattern},)
    wanted = "an address of at most 2000 characters"
    form = VISIBLE

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or len(value) > self.longest or not self.form.search(value):
            raise self.wrong()
        return _clean(value)


class WebAddress(Address):
    """A URL that is called."""

    pattern = r"^[ \t\r\n]*[Hh][Tt][Tt][Pp][Ss]?://"
    shapes = ({"type": "string", "maxLength": 2000, "pattern": pattern},)
    wanted = "an address such as https://1c.example/base/hs/amo"
    form = re.compile(pattern)


class Password(Given):
    """Text of which every character counts."""

    shapes = ({"type": "string", "minLength": 1, "maxLength": 255},)
    wanted = "text of 1 to 255 characters"

    def deserialize(
        self, value: Any, attr: str | None = None, data: Mapping[str, Any] | None = None, **more: Any
    ) -> Any:
        is_text = isinstance(value, str) and value != ""
        return self.read(value) if is_text else super().deserialize(value, attr, data, **more)

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or len(value) > 255:  # noqa: PLR2004 - as the shape says
            raise self.wrong()
        return value


class Amount(Given):
    """Money: a number, or text such as "1 234,50" → kopecks as text: "1234.50"."""

    shapes = (
        {"type": "number", "minimum": 0, "exclusiveMaximum": LARGEST_AMOUNT},
        {"type": "string", "pattern": "^[0-9](?:[ \u00a0\u202f]?[0-9]){0,11}(?:[.,][0-9]{1,6})?$"},
    )
    wanted = "an amount that is not negative, such as 1234.50"
    form = re.compile("[0-9][0-9 \u00a0\u202f]{0,22}(?:[.,][0-9]{1,6})?")

    def read(self, value: Any) -> str:
        if isinstance(value, str):
            text = value.strip()
            if not self.form.fullmatch(text):
                raise self.wrong()
            number = Decimal(GAPS.sub("", text).replace(",", "."))
            if number >= LARGEST_AMOUNT:
                raise self.wrong()
        elif type(value) in (int, float) and 0 <= value < LARGEST_AMOUNT:
            number = Decimal(str(value))
        else:
            raise self.wrong()
        return str(number.quantize(KOPECK, rounding=ROUND_HALF_UP))


class Word(Given):
    """One of a few words."""

    def __init__(self, about: str, *words: str) -> None:
        self.words = words
        self.shapes = ({"type": "string", "enum": list(words)},)
        self.wanted = f"one of {', '.join(words)}"
        super().__init__(about, required=True)

    def read(self, value: Any) -> str:
        if value not in self.words:
            raise self.wrong()
        return str(value)


class Anything(Given):
    """JSON of any kind, kept as it came."""

    shapes = ({"anyOf": [{"type": "object"}, {"type": "array"}]},)
    wanted = "a JSON object or list"

    def read(self, value: Any) -> Any:
        if not isinstance(value, dict | list):
            raise self.wrong()
        return value


def _clean(text: str) -> str:
    return CONTROLS.sub(" ", text).strip()


def _integral(value: Any) -> int | None:
    """The whole number that a JSON number is; 5.0 is one, true is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        return None
    return int(value) if abs(value) <= LARGEST_ID else None


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_ID else None
