"""Strangers' texts, links and sums, made harmless: they end in CRM cards and in 1C (facts/onec.md D4)."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from unicodedata import category

from connectors.outbound import Address, Forbidden

LONGEST_LINK = 1000
LARGEST_SUM = Decimal(10) ** 15
CENT = Decimal("0.01")
_INNER_LINK = re.compile(r"e1cib[:/][^\s<>\"'`\\]+")
_SPACES = re.compile(r"[\s\u00a0\u202f]")
_SUM = re.compile(r"-?[0-9]{1,20}(?:[.,][0-9]{1,20})?")


def clean(value: Any, longest: int) -> str | None:
    """One line without control and direction characters, cut to `longest`; None if nothing is left.

    For strings and numbers: of anything else nothing is.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    return " ".join(_printable(str(value)[: longest * 4]).split())[:longest].rstrip() or None


def sent(value: Any) -> Any:
    """What 1C is sent: strings without what its XML cannot hold, line ends kept."""
    if isinstance(value, str):
        return "".join(each for each in value if each in "\n\t" or category(each) not in ("Cc", "Cs"))
    if isinstance(value, Mapping):
        return {str(key): sent(each) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [sent(each) for each in value]
    return value


def link(value: Any, host: str | None) -> str | None:
    """A link into the base: within 1C (`e1cib/…`), or http(s) on its `host`; None for any other."""
    text = value.strip() if isinstance(value, str) else ""
    if len(text) > LONGEST_LINK or not text.isprintable():
        return None
    if _INNER_LINK.fullmatch(text):
        return text
    # A fragment names a document in some bases; what is strict about an address is its host.
    before, _, fragment = text.partition("#")
    try:
        address = Address.of(before)
    except Forbidden:
        return None
    is_ours = host is not None and address.host == host and not re.search(r"[\s<>\"'`\\]", fragment)
    return text if is_ours else None


def amount(value: Any) -> str | None:
    """A sum as a decimal text with two places: `1234.5`, `"1 234,50"` → `"1234.50"`; None for none.

    Raises ValueError for anything else, and for less than zero.
    """
    if value is None or value == "":
        return None
    text = "" if isinstance(value, bool) else _SPACES.sub("", str(value))
    number = Decimal(text.replace(",", ".")) if _SUM.fullmatch(text) else -CENT
    if not 0 <= number <= LARGEST_SUM:
        raise ValueError("no sum")
    return str(abs(number.quantize(CENT)))


def _printable(text: str) -> str:
    return "".join(each if each.isspace() or category(each)[0] != "C" else "" for each in text)
