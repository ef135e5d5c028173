"""Objects and sets as JSON, or as the Atom XML that a client gets who did not ask for JSON (facts/onec.md §A2, §A3)."""

import re
from collections.abc import Iterable
from html import escape
from http import HTTPStatus
from typing import Any

from sandbox.onec.errors import Refusal
from sandbox.onec.interests import Values
from sandbox.onec.reference import EMPTY_REF
from sandbox.onec.schema import Shape

_NAMESPACES = (
    'xmlns="http://www.w3.org/2005/Atom" xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices" '
    'xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"'
)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def shown(row: Values, shape: Shape, names: Iterable[str], *, metadata: str) -> Values:
    """The named properties, beside each filled reference the way to what it refers to."""
    values = {}
    for name in names:
        values[name] = row[name]
        link = shape.fields[name].link
        if link and metadata != "nometadata" and row[name] != EMPTY_REF:
            values[f"{link}@navigationLinkUrl"] = f"{address(row, shape)}/{link}"
    return values


def address(row: Values, shape: Shape) -> str:
    ref = f"guid'{row[shape.key]}'"
    return f"{shape.name}({shape.key}={ref},LineNumber={row['LineNumber']})" if shape.part else f"{shape.name}({ref})"


def set_as_json(root: str, shape: Shape, rows: list[Values], *, count: int | None, metadata: str) -> Values:
    answer: Values = {} if metadata == "nometadata" else {"odata.metadata": f"{root}/$metadata#{shape.name}"}
    if count is not None:
        answer["odata.count"] = str(count)
    return answer | {"value": rows}


def one_as_json(root: str, shape: Shape, row: Values, *, metadata: str) -> Values:
    if metadata == "nometadata":
        return row
    return {"odata.metadata": f"{root}/$metadata#{shape.name}/@Element"} | row


def set_as_atom(root: str, shape: Shape, rows: list[Values], *, count: int | None) -> str:
    counted = "" if count is None else f"<m:count>{count}</m:count>"
    entries = "".join(_entry(row, shape, "") for row in rows)
    text = f"<feed {_NAMESPACES}><id>{root}/{shape.name}</id><title>{shape.name}</title>{counted}{entries}</feed>"
    return XML_HEAD + _printable(text)


def one_as_atom(shape: Shape, row: Values) -> str:
    return XML_HEAD + _printable(_entry(row, shape, f" {_NAMESPACES}"))


def _entry(row: Values, shape: Shape, namespaces: str) -> str:
    properties = "".join(_property(name, value) for name, value in row.items() if "@" not in name)
    return (
        f'<entry{namespaces}><category term="StandardODATA.{shape.name}"/>'
        f'<content type="application/xml"><m:properties>{properties}</m:properties></content></entry>'
    )


def _property(name: str, value: Any) -> str:
    if isinstance(value, list):
        rows = ("".join(_property(*pair) for pair in row.items()) for row in value)
        return f"<d:{name}>{''.join(f'<d:element>{row}</d:element>' for row in rows)}</d:{name}>"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<d:{name}>{escape(text)}</d:{name}>"


def _printable(text: str) -> str:
    """One control character in the data, and the whole package is refused (§A5)."""
    if _UNPRINTABLE.search(text):
        raise Refusal(HTTPStatus.BAD_REQUEST, 2, "Текст XML содержит недопустимый символ")
    return text
