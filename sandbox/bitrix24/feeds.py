"""What hangs on deals: the rows of `crm.item.productrow.list`, the moves of `crm.stagehistory.list` (§7)."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandbox.bitrix24.entities import DEALS
from sandbox.bitrix24.errors import phrase
from sandbox.bitrix24.filters import KEY
from sandbox.bitrix24.itemviews import typed
from sandbox.bitrix24.listing import Result, as_map, list_rows, page
from sandbox.bitrix24.method import Method, Params
from sandbox.bitrix24.php import items_of
from sandbox.bitrix24.schemas import STAGE_HISTORY
from sandbox.bitrix24.values import to_int

if TYPE_CHECKING:
    from sandbox.bitrix24.portal import Portal

OWNER = ("=ownerType", "=ownerId")
SHORT_NAME_OF_DEALS = "D"
# Conditions on anything else are ignored in silence.
FILTERED = {"id": "ID", "productId": "PRODUCT_ID"}
SORTED = {"id": "ID", "sort": "SORT"}
NUMBERS = ("ID", "OWNER_ID")


def _product_rows(portal: "Portal", params: Params) -> Result:
    """Raises Refusal without an owner."""
    wanted = as_map(params, "filter")
    for name in OWNER:
        if name not in wanted:
            raise phrase("REQUIRED_ARG_MISSING", f"Required argument `{name.removeprefix('=')}` is missing")
    deal = portal.store.table(DEALS).rows.get(to_int(wanted["=ownerId"]))
    is_deal = wanted["=ownerType"] == SHORT_NAME_OF_DEALS and deal is not None and portal.is_readable(deal)
    rows = portal.store.product_rows.get(deal.id, []) if is_deal and deal else []
    rows = [row for row in rows if all(_fits(row, key, value) for key, value in wanted.items())]
    for name, way in as_map(params, "order").items() or [("sort", "asc")]:
        if name in SORTED:
            rows = sorted(rows, key=lambda row: to_int(row[SORTED[name]]), reverse=str(way).upper() == "DESC")
    found = page(rows, params, portal.switches, show=_camel)
    return Result({"productRows": found.value}, found.total, found.next)


def _fits(row: dict[str, Any], key: str, operand: Any) -> bool:
    match = KEY.fullmatch(key)
    code = FILTERED.get(match[2]) if match else None
    if match is None or code is None:
        return True
    held, operands = to_int(row[code]), [to_int(item) for item in items_of(operand)]
    if not operands:
        return True
    checks = {">": held > operands[0], ">=": held >= operands[0], "<": held < operands[0], "<=": held <= operands[0]}
    if match[1] in ("!", "!="):
        return held not in operands
    return checks.get(match[1] or "", held in operands)


def _camel(row: dict[str, Any]) -> dict[str, Any]:
    shown = {_name(code): to_int(value) if code in NUMBERS else value for code, value in row.items()}
    return shown | {"priceAccount": float(row["PRICE_ACCOUNT"])}


def _name(code: str) -> str:
    first, *words = code.lower().split("_")
    return first + "".join(word.capitalize() for word in words)


def _stage_history(portal: "Portal", params: Params) -> Result:
    if to_int(params.get("entitytypeid")) != DEALS.type_id:
        raise phrase("ENTITY_TYPE_NOT_SUPPORTED", "Entity type is not supported")
    strict = replace(portal.switches, unknown_filter_key="error")
    found = list_rows(portal.store.tables["stage_history"], params, strict)
    rows = [{code: typed(STAGE_HISTORY[code], value) for code, value in row.items()} for row in found.value]
    return Result({"items": rows}, found.total, found.next)


FEEDS = {
    "crm.item.productrow.list": Method(_product_rows, "crm", "read", "deal"),
    "crm.stagehistory.list": Method(_stage_history, "crm", "read", "deal"),
}
