"""Phones, e-mails and the like on writing (facts/bitrix24.md §6.2): an item without ID appends, others stay."""

import re
from collections.abc import Callable
from typing import Any

from sandbox.bitrix24.errors import bad_address
from sandbox.bitrix24.php import items_of

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def merged(code: str, held: list[dict[str, str]], sent: Any, next_id: Callable[[], int]) -> list[dict[str, str]]:
    """The items after a write, in order; raises Refusal for an invalid e-mail address."""
    items = {item["ID"]: item for item in held}
    for item in items_of(sent):
        if isinstance(item, dict):
            _apply(items, code, item, next_id)
    return list(items.values())


def _apply(items: dict[str, dict[str, str]], code: str, sent: dict[str, Any], next_id: Callable[[], int]) -> None:
    item_id, value = str(sent.get("ID") or ""), str(sent.get("VALUE") or "").strip()
    if item_id and (not value or sent.get("DELETE") == "Y"):
        items.pop(item_id, None)
        return
    if not value or (item_id and item_id not in items):
        return
    if code == "EMAIL" and not _ADDRESS.fullmatch(value):
        raise bad_address(value)
    held = items.get(item_id, {})
    item_id = item_id or str(next_id())
    items[item_id] = {
        "ID": item_id,
        "VALUE_TYPE": str(sent.get("VALUE_TYPE") or held.get("VALUE_TYPE", "WORK")),
        "VALUE": value,
        "TYPE_ID": code,
    }


def raw(code: str, given: Any, next_id: Callable[[], int]) -> list[dict[str, str]]:
    """Items as the admin side gives them: plain values or maps, nothing checked, ids added."""
    items = [item if isinstance(item, dict) else {"VALUE": str(item)} for item in items_of(given)]
    return [{"ID": str(next_id()), "VALUE_TYPE": "WORK", "TYPE_ID": code, **item} for item in items]
