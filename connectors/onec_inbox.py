"""An Interest that 1C sends us itself (docs/onec.md): its shape is checked here, what it means the mapping says."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.base import Malformed, Row

ID = re.compile(r"[0-9A-Za-zА-Яа-яЁё._-]{1,64}")
MOMENTS = ("created_at", "stage_changed_at", "modified_at")
TEXTS = ("name", "stage", "comment", "communication_id", "communication_type", "revenue")
LISTS = ("phones", "emails")
KNOWN = {"id", "is_deleted", *MOMENTS, *TEXTS, *LISTS}
LONGEST_TEXT = 10_000
LONGEST_LIST = 100


def received(item: Any, zone: ZoneInfo) -> Row:
    """A row of the item; times without an offset are the base's. Raises Malformed, which names fields and no values."""
    if not isinstance(item, Mapping):
        raise Malformed("an item must be an object")
    if unknown := sorted(str(key)[:40] for key in item.keys() - KNOWN):
        raise Malformed(f"unknown fields: {', '.join(unknown)}")
    id_ = item.get("id")
    if not isinstance(id_, str) or not ID.fullmatch(id_):
        raise Malformed("id must be a string of 1 to 64 letters, digits, dots, hyphens")
    fields: dict[str, Any] = {"id": id_.lower()}
    fields |= {name: _moment(name, item.get(name), zone) for name in MOMENTS}
    fields |= {name: _text(name, item.get(name)) for name in TEXTS}
    fields["stage"] = (fields["stage"] or "").lower()  # 1C writes its GUIDs either way
    fields |= {name: _texts(name, item.get(name)) for name in LISTS}
    fields["is_deleted"] = _flag("is_deleted", item.get("is_deleted", False))
    now = datetime.now(UTC)
    created, modified = (_aware(fields[name]) or now for name in ("created_at", "modified_at"))
    return Row(fields["id"], fields, modified, created)


def _moment(name: str, value: Any, zone: ZoneInfo) -> str | None:
    if value in (None, ""):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Malformed(f"{name} must be a time such as 2026-01-31T12:00:00+03:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).isoformat()


def _aware(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


def _text(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > LONGEST_TEXT:
        raise Malformed(f"{name} must be a string of at most {LONGEST_TEXT} characters")
    return str(value)


def _texts(name: str, value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > LONGEST_LIST:
        raise Malformed(f"{name} must be a list of at most {LONGEST_LIST} strings")
    return [text for text in (_text(name, each) for each in value) if text]


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Malformed(f"{name} must be true or false")
    return value
