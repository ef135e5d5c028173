"""A stranger's JSON, read strictly: what two parsers could read differently, or what costs too much, is not read.

The content type is not asked for: 1C's programmers send JSON as text/plain (facts/onec.md C).
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

DEEPEST = 20
LONGEST_NUMBER = 50
"""Characters: more than any id or amount has, and cheap to read."""

STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
"""Also one that never ends: to look for its end from every quote in it would take quadratic time."""


class Unreadable(ValueError):
    """The text is for the sender, and shows nothing of what was sent."""


def read_object(data: bytes) -> Mapping[str, Any]:
    """The JSON object in `data`, UTF-8 with or without BOM. Raises Unreadable."""
    if _depth(data) > DEEPEST:
        raise Unreadable(f"the JSON is nested deeper than {DEEPEST} levels")
    try:
        body = json.loads(
            data.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_fraction,
            parse_constant=_constant,
        )
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeError:
        raise Unreadable("the body is not UTF-8 text") from None
    except json.JSONDecodeError:
        raise Unreadable("the body is not JSON") from None
    if not isinstance(body, dict):
        raise Unreadable("the body must be a JSON object")
    return body


def _depth(data: bytes) -> int:
    """How deep brackets are nested outside of strings; of what is no JSON, some number."""
    deepest = level = 0
    for bracket in re.findall(rb"[\[\]{}]", STRING.sub(b"", data)):
        level += 1 if bracket in b"[{" else -1
        deepest = max(deepest, level)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Unreadable("a key stands twice in one object")
    return made


def _integer(text: str) -> int:
    return int(_short(text))


def _fraction(text: str) -> float:
    number = float(_short(text))
    if not math.isfinite(number):
        raise Unreadable("a number is too large")
    return number


def _short(text: str) -> str:
    if len(text) > LONGEST_NUMBER:
        raise Unreadable("a number is too long")
    return text


def _constant(_: str) -> Any:
    raise Unreadable("NaN and Infinity are not JSON")
