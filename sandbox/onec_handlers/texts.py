"""Text both ways: JSON is taken with a BOM and trailing commas, amounts in every notation."""

import json
import re
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Any

from sandbox.onec_handlers.switches import Switches
from sandbox.wire import Response

_STRING_OR_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')
_BLANKS = str.maketrans("", "", " \u00a0\u202f")
CENT = Decimal("0.01")


def read(content: bytes) -> Any:
    """Raises ValueError."""
    return json.loads(_STRING_OR_COMMA.sub(lambda found: found[1] or "", content.decode("utf-8-sig")))


def sent(value: Any, switches: Switches, *, status: int = HTTPStatus.OK, content_type: str | None = None) -> Response:
    text = json.dumps(value, ensure_ascii=False)
    encoding = "utf-8-sig" if switches.bom else "utf-8"
    return Response(status, text.encode(encoding, "replace"), content_type or switches.content_type)


def amount(given: Any) -> str:
    """`1234.5`, `"1 234,50"` and the like as "1234.50"; raises ValueError, for negative amounts too."""
    try:
        value = Decimal(str(given).translate(_BLANKS).replace(",", ".")).quantize(CENT)
    except InvalidOperation as error:
        raise ValueError(f"not an amount: {given}") from error
    if value < 0:
        raise ValueError(f"a negative amount: {given}")
    return str(value)


def amount_as(text: str, notation: str) -> Any:
    """An amount of ours as the exchange writes it: `number`, `text` or `russian`."""
    value = Decimal(text)
    if notation == "number":
        return int(value) if value == value.to_integral_value() else float(value)
    return f"{value:,}".replace(",", "\u00a0").replace(".", ",") if notation == "russian" else text
