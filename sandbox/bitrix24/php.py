"""How PHP reads a query string and prints an array (facts/bitrix24.md §1 and §0.8)."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

_KEYS = re.compile(r"\[([^\]]*)\]")


def parse_query(text: str) -> dict[str, Any]:
    """`a[b][]=1&c=2` as nested dicts and lists; a bracket that is never closed becomes part of a top-level name."""
    root: dict[str, Any] = {}
    for pair in text.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            _put(root, _path(unquote_plus(name)), unquote_plus(value))
    return {name: _settled(value) for name, value in root.items()}


def php_array(mapping: Mapping[str, Any]) -> list[Any] | dict[str, Any]:
    """A PHP array as JSON: keys exactly 0..n-1 in order make a list, and so does an empty one."""
    if all(key == str(index) for index, key in enumerate(mapping)):
        return list(mapping.values())
    return dict(mapping)


def items_of(value: Any) -> list[Any]:
    """The values of what PHP calls an array, list or map alike; a scalar is an array of one, nothing is empty."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return list(value.values())
    return [] if value is None or value == "" or value is False else [value]


def _path(name: str) -> list[str]:
    head, bracket, rest = name.partition("[")
    if not bracket or "]" not in rest:
        return [name.replace("[", "_")]
    return [head, *_KEYS.findall(f"[{rest}")]


def _put(node: dict[str, Any], path: list[str], value: str) -> None:
    for key in path[:-1]:
        child = node.setdefault(key or str(len(node)), {})
        if not isinstance(child, dict):
            return
        node = child
    node[path[-1] or str(len(node))] = value


def _settled(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return php_array({key: _settled(child) for key, child in value.items()})
