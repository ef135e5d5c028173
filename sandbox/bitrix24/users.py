"""The invented staff: user 1 owns the webhook, the last one is a hidden system user (facts/bitrix24.md §8)."""

from typing import Any

from sandbox.bitrix24.schemas import GUID_OF_USER

HIDDEN_USER = 30
# Id → given name, family name, e-mail, active.
STAFF: dict[int, tuple[str, str, str, bool]] = {
    1: ("Обмен", "Технический", "exchange@school.example", True),
    12: ("Андрей", "Сергеев", "sergeev@school.example", True),
    14: ("Марина", "Ладейкина", "ladeykina@school.example", True),
    16: ("Глеб", "Коневский", "konevsky@school.example", True),
    18: ("Ольга", "Ферзева", "ferzeva@school.example", False),
    20: ("Тимур", "", "timur@school.example", True),
    HIDDEN_USER: ("Система", "", "system@school.example", True),
}
HUMAN = "12"


def staff_rows() -> dict[int, dict[str, Any]]:
    return {
        user_id: {
            "ACTIVE": is_active,
            "NAME": name,
            "LAST_NAME": family,
            "SECOND_NAME": "",
            "EMAIL": email,
            "USER_TYPE": "employee",
            "UF_DEPARTMENT": [1],
            "DATE_REGISTER": "2020-01-15T03:00:00+03:00",
            "LAST_LOGIN": "2026-01-15T10:00:00+03:00",
            GUID_OF_USER: f"00000000-0000-4000-8000-{user_id:012}",
        }
        for user_id, (name, family, email, is_active) in STAFF.items()
    }
