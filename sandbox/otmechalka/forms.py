"""What a client and a ticket must look like (facts/otmechalka.md §2): one reader per field, all mistakes at once."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.otmechalka.reference import BRANCHES, COURSES, EMPLOYEES, GENDERS, PAYMENTS, TICKET_TYPES

REQUIRED = "Обязательное поле."
Read = Callable[[Any, bool], Any]


class Invalid(ValueError):
    """One field cannot be accepted; the text is shown to the caller."""


@dataclass(frozen=True, slots=True)
class FormField:
    read: Read
    is_required: bool = True


def validated(
    form: dict[str, FormField], body: dict[str, Any], *, ids_only: bool
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Accepted values, and messages per field. Unknown names are ignored, null counts as omitted."""
    accepted: dict[str, Any] = {}
    mistakes: dict[str, list[str]] = {}
    for name, field in form.items():
        value = body.get(name)
        if value is None:
            if field.is_required:
                mistakes[name] = [REQUIRED]
            continue
        try:
            accepted[name] = field.read(value, ids_only)
        except Invalid as invalid:
            mistakes[name] = [str(invalid)]
    return accepted, mistakes


def _pattern(pattern: str, message: str) -> Read:
    compiled = re.compile(pattern, re.ASCII)

    def read(value: Any, _ids_only: bool) -> str:  # noqa: FBT001 - one shape for all readers
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise Invalid(message)
        return value

    return read


def _text(value: Any, _ids_only: bool) -> str:  # noqa: FBT001
    if not isinstance(value, str) or not value.strip():
        raise Invalid("Это поле не может быть пустым.")
    return value


def _day(value: Any, _ids_only: bool) -> str:  # noqa: FBT001
    try:
        if len(value) == len("2009-11-29"):
            return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        pass
    raise Invalid("Неправильный формат даты. Используйте YYYY-MM-DD.")


def _one_of(known: tuple[str, ...]) -> Read:
    def read(value: Any, _ids_only: bool) -> str:  # noqa: FBT001
        if value not in known:
            raise Invalid(f"Значения «{value}» нет среди допустимых вариантов.")
        return str(value)

    return read


def _reference(names: dict[str, str]) -> Read:
    ids = {name: known_id for known_id, name in names.items()}

    def read(value: Any, ids_only: bool) -> str:  # noqa: FBT001
        if not isinstance(value, str):
            raise Invalid("Ожидалась строка.")
        if value in names:
            return value
        if not ids_only and value in ids:
            return ids[value]
        raise Invalid(f"Объект «{value}» не найден.")

    return read


def _references(names: dict[str, str]) -> Read:
    one = _reference(names)

    def read(value: Any, ids_only: bool) -> list[str]:  # noqa: FBT001
        if not isinstance(value, list) or not value:
            raise Invalid("Ожидался непустой список.")
        return [one(item, ids_only) for item in value]

    return read


_ID = _pattern(r"\d{1,20}", "Ожидалась строка из цифр.")
_MONEY = _pattern(r"\d{1,10}\.\d{2}", "Требуется десятичное число с двумя знаками.")

CLIENT = {
    "origin_id": FormField(_ID),
    "last_name": FormField(_text),
    "first_name": FormField(_text),
    "phone": FormField(_pattern(r"7\d{10}", "Ожидался номер в виде 7XXXXXXXXXX.")),
    "email": FormField(
        _pattern(r"[^@\s]+@[^@\s]+\.[^@\s]+", "Введите правильный адрес электронной почты."), is_required=False
    ),
    "courses": FormField(_references(COURSES)),
    "branchoffices": FormField(_references(BRANCHES)),
    "birthdate": FormField(_day, is_required=False),
    "gender": FormField(_one_of(GENDERS)),
    "additional_data": FormField(_text, is_required=False),
}
TICKET = {
    "origin_id": FormField(_ID),
    "client_origin_id": FormField(_ID),
    "ticket_type": FormField(_one_of(TICKET_TYPES)),
    "price_initial": FormField(_MONEY),
    "discount": FormField(_MONEY),
    "price_final": FormField(_MONEY),
    "selling_date": FormField(_day),
    "selling_branchoffice": FormField(_reference(BRANCHES)),
    "employee": FormField(_one_of(EMPLOYEES)),
    "payment_method": FormField(_one_of(PAYMENTS)),
}


def price_mistakes(ticket: dict[str, Any]) -> dict[str, list[str]]:
    """Initial - discount = final, to the kopeck."""
    initial, discount, final = (Decimal(ticket[name]) for name in ("price_initial", "discount", "price_final"))
    if initial - discount == final:
        return {}
    return {"price_final": ["Не равна стоимости за вычетом скидки."]}
