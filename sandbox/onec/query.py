"""The part of a URL after the question mark (facts/onec.md §A1, §A2): `+` is no space, unknown options are refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote

from sandbox.onec.errors import Refusal, bad_query, unknown_property, unsupported
from sandbox.onec.filters import EVERYTHING, Node, compile_filter
from sandbox.onec.schema import Shape
from sandbox.onec.switches import Switches

Options = dict[str, str]

KNOWN = {"$format", "$filter", "$select", "$orderby", "$top", "$skip", "$inlinecount", "allowedOnly", "$allowedOnly"}
MISSING = {"$expand", "$count"}
METADATA = ("minimalmetadata", "nometadata", "fullmetadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked of a set; `order` holds names of properties and whether each descends."""

    condition: Node = EVERYTHING
    names: tuple[str, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()
    top: int | None = None
    skip: int = 0
    is_counted: bool = False
    is_allowed_only: bool = False


def options_of(text: str) -> Options:
    pairs = (piece.partition("=") for piece in text.split("&") if piece)
    return {unquote(name): unquote(value) for name, _, value in pairs}


def is_json(options: Options, headers: Mapping[str, str]) -> bool:
    """JSON if asked for, in the query or with Accept; Atom otherwise."""
    wanted = options.get("$format") or headers.get("accept", "")
    return wanted == "json" or wanted.startswith("application/json")


def metadata_of(options: Options, headers: Mapping[str, str]) -> str:
    wanted = options.get("$format") or headers.get("accept", "")
    return next((level for level in METADATA if f"odata={level}" in wanted), METADATA[0])


def check_options(options: Options) -> None:
    """Raises Refusal."""
    for name in options:
        if name in MISSING:
            raise unsupported(name)
        if name not in KNOWN:
            raise Refusal(HTTPStatus.BAD_REQUEST, 0, f"Параметр «{name}» не поддерживается")
    wanted = options.get("$format", "json")
    if wanted not in ("json", "atom") and not wanted.startswith(("application/json", "application/atom+xml")):
        raise Refusal(HTTPStatus.NOT_IMPLEMENTED, 3, f"Представление «{wanted}» не поддерживается")


def query_of(options: Options, shape: Shape, switches: Switches) -> Query:
    """Raises Refusal."""
    text = options.get("$filter", "")
    return Query(
        condition=compile_filter(text, shape, switches) if text.strip() else EVERYTHING,
        names=selected(options, shape, switches),
        order=_order(options, shape, switches),
        top=_whole(options, "$top"),
        skip=_whole(options, "$skip") or 0,
        is_counted=_is_counted(options),
        is_allowed_only="true" in (options.get("allowedOnly"), options.get("$allowedOnly")),
    )


def selected(options: Options, shape: Shape, switches: Switches) -> tuple[str, ...]:
    """The properties to show; `*` is everything, `**` everything but tabular parts."""
    names: dict[str, None] = {}
    for name in _pieces(options.get("$select") or "*"):
        if name in ("*", "**"):
            names |= {field.name: None for field in shape.fields.values() if name == "*" or field.type != "part"}
        elif name in shape.fields:
            names[name] = None
        elif switches.unknown_select_field == "error":
            raise unknown_property(name)
    return tuple(names)


def _order(options: Options, shape: Shape, switches: Switches) -> tuple[tuple[str, bool], ...]:
    order = []
    for piece in _pieces(options.get("$orderby", "")):
        name, _, direction = piece.partition(" ")
        if direction.strip() not in ("", "asc", "desc"):
            raise bad_query(f"$orderby: {piece}")
        if name in shape.fields:
            order.append((name, direction.strip() == "desc"))
        elif switches.unknown_orderby_field == "error":
            raise unknown_property(name)
    return tuple(order)


def _whole(options: Options, name: str) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()):
        raise bad_query(f"{name}={text}")
    return int(text)


def _is_counted(options: Options) -> bool:
    wanted = options.get("$inlinecount", "none")
    if wanted not in ("allpages", "none"):
        raise bad_query(f"$inlinecount={wanted}")
    return wanted == "allpages"


def _pieces(text: str) -> list[str]:
    return [piece.strip() for piece in text.split(",") if piece.strip()]
