"""A phone number as people type it → digits only (brief 003 «Маппинг полей контакта», rules in facts/otmechalka §6)."""

import re

_SECOND_NUMBER_OR_EXTENSION = re.compile(r"[,;#]|доб", re.IGNORECASE)
_NOT_A_DIGIT = re.compile(r"[^0-9]")
_LOCAL, _NATIONAL, _LONGEST = 10, 11, 15  # digits: without a prefix, with 7 or 8, and what E.164 allows


def normalise_phone(text: str, *, allow_foreign: bool = False) -> str | None:
    """`7XXXXXXXXXX`, or with `allow_foreign` any 11-15 digits; None if `text` holds no such number."""
    number = _SECOND_NUMBER_OR_EXTENSION.split(text, maxsplit=1)[0]
    digits = _NOT_A_DIGIT.sub("", number).removeprefix("00")
    if len(digits) == _LOCAL:
        return "7" + digits
    if len(digits) == _NATIONAL and digits[0] in "78":
        return "7" + digits[1:]
    if allow_foreign and _NATIONAL <= len(digits) <= _LONGEST:
        return digits
    return None
