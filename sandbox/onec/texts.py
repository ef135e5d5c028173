"""Bodies as 1C sends them: UTF-8, usually with a byte order mark (facts/onec.md §A3)."""

import json
from typing import Any

from sandbox.onec.switches import Switches
from sandbox.wire import JSON_TYPE

JSON = JSON_TYPE
ATOM = "application/atom+xml;type=feed;charset=utf-8"
XML = "application/xml;charset=utf-8"
PLAIN = "text/plain;charset=utf-8"


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def encoded(text: str, switches: Switches) -> bytes:
    return text.encode("utf-8-sig" if switches.bom else "utf-8", "replace")
