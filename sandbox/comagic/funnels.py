"""Funnels and their stages (facts/comagic.md §10): 1 to 100 stages in process, one success, one failed."""

from typing import Any

from sandbox.comagic.directories import known
from sandbox.comagic.forms import Form, Read, between, rows_of, text
from sandbox.comagic.listing import LISTING, Columns, listed
from sandbox.comagic.method import Call, Method
from sandbox.comagic.refusal import Refusal
from sandbox.comagic.store import FAILED, FINAL_ORDERS, IN_PROCESS, SUCCESS, Row, stage

MOST_STAGES = 100
_COLUMNS = Columns(("ext_id", "name", "stages"), frozenset({"ext_id", "name"}), frozenset({"ext_id", "name"}))

_order = between(0, 10_000)
_FINAL = Form({"ext_id": text, "name": text})
_STAGE = Form({"ext_id": text, "name": text, "order": _order})
_STAGES = Form({SUCCESS: _FINAL.checked, FAILED: _FINAL.checked, IN_PROCESS: rows_of(_STAGE.checked, MOST_STAGES)})
_ONE_STAGE: dict[str, Read] = {"sales_funnel_ext_id": text, "ext_id": text}


def _create(call: Call) -> Any:
    params = call.params
    if params["ext_id"] in call.store.tables["funnels"]:
        raise Refusal("duplicate_entity", "ext_id", value=params["ext_id"])
    given = params["stages"]
    stages = [stage(one["ext_id"], one["name"], IN_PROCESS, one["order"]) for one in given[IN_PROCESS]]
    stages += [
        stage(given[status]["ext_id"], given[status]["name"], status, order) for status, order in FINAL_ORDERS.items()
    ]
    ids = [one["stage_ext_id"] for one in stages]
    for index, ext_id in enumerate(ids):
        if ext_id in ids[:index]:
            raise Refusal("duplicate_entity", "stages", "ext_id", value=ext_id)
    _put(call, {"ext_id": params["ext_id"], "name": params["name"]}, stages)
    return {"ext_id": params["ext_id"]}


def _rename(call: Call) -> Any:
    call.store.put("funnels", {**known(call, "funnels"), "name": call.params["name"]})
    return {}


def _delete(call: Call) -> Any:
    ext_id = known(call, "funnels")["ext_id"]
    if call.store.is_used(lambda row: row["sales_funnel_ext_id"] == ext_id):
        raise Refusal("dependency_error", "ext_id", value=ext_id)
    call.store.remove("funnels", ext_id)
    return {}


def _get(call: Call) -> Any:
    return listed(call, call.store.rows("funnels"), _COLUMNS)


def _create_stage(call: Call) -> Any:
    params, funnel = call.params, known(call, "funnels", "sales_funnel_ext_id")
    if any(one["stage_ext_id"] == params["ext_id"] for one in funnel["stages"]):
        raise Refusal("duplicate_entity", "ext_id", value=params["ext_id"])
    if sum(one["stage_status"] == IN_PROCESS for one in funnel["stages"]) >= MOST_STAGES:
        raise Refusal("data_limit_exceeded")
    created = stage(params["ext_id"], params["name"], IN_PROCESS, params["order"])
    _put(call, funnel, [*funnel["stages"], created])
    return {"ext_id": params["ext_id"]}


def _update_stage(call: Call) -> Any:
    params, funnel = call.params, known(call, "funnels", "sales_funnel_ext_id")
    old = _stage(funnel, params["ext_id"])
    order = params.get("order")
    if order is not None and old["stage_status"] != IN_PROCESS:
        raise Refusal("invalid_parameters_combination", "order", value=order)
    new = {
        **old,
        "stage_name": params.get("name") or old["stage_name"],
        "stage_order": old["stage_order"] if order is None else order,
    }
    _put(call, funnel, [new if one is old else one for one in funnel["stages"]])
    return {}


def _delete_stage(call: Call) -> Any:
    funnel = known(call, "funnels", "sales_funnel_ext_id")
    old = _stage(funnel, call.params["ext_id"])
    if old["stage_status"] != IN_PROCESS:
        raise Refusal("forbidden", "ext_id", value=old["stage_ext_id"])
    left = [one for one in funnel["stages"] if one is not old]
    place = (funnel["ext_id"], old["stage_ext_id"])
    is_last = all(one["stage_status"] != IN_PROCESS for one in left)
    if is_last or call.store.is_used(lambda row: (row["sales_funnel_ext_id"], row["stage_ext_id"]) == place):
        raise Refusal("dependency_error", "ext_id", value=old["stage_ext_id"])
    _put(call, funnel, left)
    return {}


def _stage(funnel: Row, ext_id: str) -> Row:
    for one in funnel["stages"]:
        if one["stage_ext_id"] == ext_id:
            found: Row = one
            return found
    raise Refusal("entity_not_found", "ext_id", value=ext_id)


def _put(call: Call, funnel: Row, stages: list[Row]) -> None:
    call.store.put("funnels", {**funnel, "stages": sorted(stages, key=lambda one: one["stage_order"])})


FUNNELS = {
    "create.sales_funnel": Method(
        run=_create,
        kind="write",
        entity="funnels",
        form=Form({"ext_id": text, "name": text, "stages": _STAGES.checked}),
    ),
    "update.sales_funnel": Method(
        run=_rename, kind="write", entity="funnels", form=Form({"ext_id": text, "name": text})
    ),
    "delete.sales_funnel": Method(run=_delete, kind="write", entity="funnels", form=Form({"ext_id": text})),
    "get.sales_funnel": Method(run=_get, kind="read", entity="funnels", form=LISTING),
    "create.sales_funnel_stages": Method(
        run=_create_stage, kind="write", entity="funnels", form=Form({**_ONE_STAGE, "name": text, "order": _order})
    ),
    "update.sales_funnel_stages": Method(
        run=_update_stage, kind="write", entity="funnels", form=Form(_ONE_STAGE, {"name": text, "order": _order})
    ),
    "delete.sales_funnel_stages": Method(run=_delete_stage, kind="write", entity="funnels", form=Form(_ONE_STAGE)),
}
