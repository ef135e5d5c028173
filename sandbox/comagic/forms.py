"""What parameters must look like (facts/comagic.md §13): unknown names, then missing ones, then types, then values.

A null counts as omitted, and where an update tells the two apart it stays in what is accepted.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.comagic.refusal import Refusal
from sandbox.comagic.switches import Switches

Read = Callable[[Any, Switches], Any]

_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
_PHONE = re.compile(r"\+?[1-9]\d{6,14}", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True)
class Form:
    """One reader per name."""

    required: dict[str, Read] = field(default_factory=dict)
    optional: dict[str, Read] = field(default_factory=dict)

    def with_optional(self, more: dict[str, Read]) -> "Form":
        return Form(self.required, {**self.optional, **more})

    def checked(self, given: Any, switches: Switches) -> dict[str, Any]:
        """What was given, read; raises the first Refusal, wrong types before wrong values."""
        if not isinstance(given, dict):
            raise Refusal("data_type_error", value=given)
        for name in given:
            if name not in self.required and name not in self.optional:
                raise Refusal("unexpected_parameters", name, value=given[name])
        for name in self.required:
            if given.get(name) is None:
                raise Refusal("required_parameter_missed", name)
        accepted: dict[str, Any] = {}
        refusals: list[Refusal] = []
        for name, value in given.items():
            read = self.required.get(name) or self.optional[name]
            try:
                accepted[name] = None if value is None else read(value, switches)
            except Refusal as refusal:
                refusals.append(refusal.within(name))
        if refusals:
            raise min(refusals, key=lambda one: one.mnemonic != "data_type_error")
        return accepted


def text(value: Any, switches: Switches) -> str:
    """A string that must say something."""
    if not any_text(value, switches) and switches.empty_required == "refused":
        raise Refusal("invalid_parameter_value", value=value)
    return str(value)


def any_text(value: Any, _switches: Switches) -> str:
    if not isinstance(value, str):
        raise Refusal("data_type_error", value=value)
    return value


def number(value: Any, _switches: Switches) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal("data_type_error", value=value)
    if not math.isfinite(value):
        raise Refusal("invalid_parameter_value")
    return value


def whole(value: Any, switches: Switches) -> int:
    if number(value, switches) != int(value):
        raise Refusal("invalid_parameter_value", value=value)
    return int(value)


def between(least: int, most: int) -> Read:
    def read(value: Any, switches: Switches) -> int:
        if not least <= whole(value, switches) <= most:
            raise Refusal("invalid_parameter_value", value=value)
        return int(value)

    return read


def moment(value: Any, switches: Switches) -> str:
    """YYYY-MM-DD hh:mm:ss: kept as text, which sorts as the moments do."""
    try:
        if _DATE.fullmatch(any_text(value, switches)) and datetime.fromisoformat(value):
            return str(value)
    except ValueError:
        pass
    raise Refusal(switches.date_mnemonic, value=value)


def phone(value: Any, switches: Switches) -> str:
    """E.164, kept as digits."""
    if not _PHONE.fullmatch(any_text(value, switches)) or (value[0] == "+" and switches.plus_in_phones == "refused"):
        raise Refusal("invalid_parameter_value", value=value)
    return str(value.lstrip("+"))


def email(value: Any, switches: Switches) -> str:
    if not _EMAIL.fullmatch(any_text(value, switches)):
        raise Refusal("invalid_parameter_value", value=value)
    return str(value)


def one_of(*known: str) -> Read:
    def read(value: Any, switches: Switches) -> str:
        if any_text(value, switches) not in known:
            raise Refusal("invalid_parameter_value", value=value)
        return str(value)

    return read


def list_of(read_one: Read) -> Read:
    def read(value: Any, switches: Switches) -> list[Any]:
        accepted = []
        for index, item in enumerate(_listed(value)):
            try:
                accepted.append(read_one(item, switches))
            except Refusal as refusal:
                raise refusal.within(index) from None
        return accepted

    return read


def distinct(read_all: Read) -> Read:
    def read(value: Any, switches: Switches) -> list[Any]:
        accepted: list[Any] = read_all(value, switches)
        for index, item in enumerate(accepted):
            if item in accepted[:index]:
                raise Refusal("invalid_parameter_value", index, value=item)
        return accepted

    return read


def rows_of(read_one: Read, most: int = 1000) -> Read:
    """The rows of one call: at least one, at most `most`."""
    read_all = list_of(read_one)

    def read(value: Any, switches: Switches) -> list[Any]:
        count = len(_listed(value))
        if not count:
            raise Refusal("required_parameter_missed")
        if count > most:
            raise Refusal(switches.too_many_items, params={"limit": most})
        accepted: list[Any] = read_all(value, switches)
        return accepted

    return read


def _listed(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise Refusal("data_type_error", value=value)
    return value
