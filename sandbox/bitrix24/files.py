"""Files in fields (facts/bitrix24.md §6.3): classic writes lose what was there, `crm.item.*` takes the whole set."""

import base64
import binascii
from collections.abc import Callable
from typing import Any

from sandbox.bitrix24.fields import Field
from sandbox.bitrix24.php import items_of
from sandbox.bitrix24.values import Ignored, to_int

NextId = Callable[[], int]
UPLOAD = 2  # name and content


def replaced(field: Field, sent: Any, next_id: NextId) -> Any:
    """After a classic write: the new uploads and nothing else, whatever ids were sent along. Raises Ignored."""
    if field.is_multiple:
        return [_stored(next_id()) for item in items_of(sent) if _is_upload(_data(item))] or None
    if sent in (None, "", []):
        return None
    if not _is_upload(_data(sent)):
        raise Ignored
    return _stored(next_id())


def whole_set(field: Field, held: Any, sent: Any, next_id: NextId) -> Any:
    """After `crm.item.*`: the kept ids and the new uploads, in the order sent; what is not named is gone."""
    files = {file["id"]: file for file in items_of(held if field.is_multiple or not held else [held])}
    items = items_of(sent) if field.is_multiple else [sent]
    kept = [file for item in items if (file := _taken(item, files, next_id))]
    if field.is_multiple:
        return kept or None
    return kept[0] if kept else None


def as_item(file: dict[str, Any]) -> dict[str, Any]:
    """How `crm.item.get` shows it; `urlMachine` carries a token and must never be logged."""
    file_id = file["id"]
    return {
        "id": file_id,
        "url": f"/bitrix/tools/crm_file.php?fileId={file_id}",
        "urlMachine": f"/rest/crm.controller.item.getFile/?token=crm%7Csandbox{file_id}&fileId={file_id}",
    }


def _taken(item: Any, files: dict[int, dict[str, Any]], next_id: NextId) -> dict[str, Any] | None:
    if isinstance(item, dict) and "id" in item:
        return files.get(to_int(item["id"]))
    return _stored(next_id()) if _is_upload(item) else None


def _data(item: Any) -> Any:
    return item.get("fileData") if isinstance(item, dict) else None


def _is_upload(data: Any) -> bool:
    """A name and base64 without a `data:` prefix."""
    parts = items_of(data)
    if isinstance(data, str) or len(parts) != UPLOAD or not all(isinstance(part, str) and part for part in parts):
        return False
    try:
        base64.b64decode(parts[1], validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _stored(file_id: int) -> dict[str, Any]:
    """In the classic form, whose addresses need a session and are of no use to a program."""
    path = f"/bitrix/components/bitrix/crm.show_file.php?ownerTypeId=3&fileId={file_id}"
    return {"id": file_id, "showUrl": path, "downloadUrl": f"{path}&auth=&dynamic=N"}
