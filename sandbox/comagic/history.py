"""upload.deals_history and what reads it (facts/comagic.md §8, §9): a deal is created by its first uploaded row.

Whether a call or a contact wins an attribution is not modelled: there are no communications here.
"""

from functools import partial
from typing import Any

from sandbox.comagic.deals import BLANK, LINKS, ROW, Directory, verify
from sandbox.comagic.forms import Form, rows_of, text
from sandbox.comagic.listing import LISTING, Columns, listed
from sandbox.comagic.method import Call, Method
from sandbox.comagic.refusal import Refusal
from sandbox.comagic.store import FAILED, IN_PROCESS, Deal, Row
from sandbox.comagic.switches import Switches

_NAMES = (
    "ext_id",
    "name",
    "created_date_time",
    "closed_date_time",
    "modified_stage_date_time",
    "contact_ext_ids",
    "tag_ext_ids",
    "main_contact_ext_id",
    "employee_ext_id",
    "revenue",
    "sales_funnel_ext_id",
    "stage_ext_id",
    "comments",
    "source",
    "is_generated",
    "communication_id",
    "communication_type",
)
_SORTABLE = {"ext_id", "created_date_time", "closed_date_time", "modified_stage_date_time", "main_contact_ext_id"}
_SORTABLE |= {"revenue", "sales_funnel_ext_id", "stage_ext_id", "source", "communication_id", "communication_type"}
COLUMNS = Columns(_NAMES, frozenset(_NAMES) - {"comments"}, frozenset(_SORTABLE))


def _upload(call: Call) -> Any:
    rows: list[Row] = call.params["deals"]
    verify(call, rows)
    now, directory = call.now(), Directory(call)
    for given in rows:
        deal = call.store.deals.get(given["ext_id"])
        row = _whole(given, deal, directory, call.switches, now)
        for generated in _missed(row, deal, directory, call.switches):
            deal = _append(call, deal, generated)
        _append(call, deal, row)
    call.store.process(call.clock.elapsed())
    return {}


def _whole(given: Row, deal: Deal | None, directory: Directory, switches: Switches, now: str) -> Row:
    """The row with every field, as it takes effect."""
    sent = {name: value for name, value in given.items() if value is not None}
    before = deal.last if deal and switches.omitted_in_row == "kept" else {}
    row = {**BLANK, **before, "closed_date_time": None, "modified_date_time": now, **sent}
    if directory.stages(row["sales_funnel_ext_id"])[row["stage_ext_id"]]["stage_status"] == IN_PROCESS:
        row["closed_date_time"] = None
    if deal and not _may_change_links(row, deal.last, switches):
        row.update({name: deal.last[name] for name in LINKS})
    return row


def _may_change_links(row: Row, before: Row, switches: Switches) -> bool:
    """Contacts and communication of an existing deal change only with an advanced modified date."""
    advanced = [row[name] > before[name] for name in ("modified_date_time", "modified_stage_date_time")]
    return all(advanced) if switches.link_change_needs == "both" else any(advanced)


def _missed(row: Row, deal: Deal | None, directory: Directory, switches: Switches) -> list[Row]:
    """Rows of the stages that the deal must have gone through unseen; a failure may come from anywhere."""
    funnel = row["sales_funnel_ext_id"]
    stages = directory.stages(funnel)
    target = stages[row["stage_ext_id"]]
    start = _start(stages, funnel, deal)
    if switches.generated_stages == "from_first" and start is None:
        start = -1
    if switches.generated_stages == "none" or start is None or target["stage_status"] == FAILED:
        return []
    seen = deal.stages if deal else set()
    return [
        {**row, "stage_ext_id": ext_id, "closed_date_time": None, "is_generated": True}
        for ext_id, stage in stages.items()
        if start < stage["stage_order"] < target["stage_order"]
        and stage["stage_status"] == IN_PROCESS
        and (funnel, ext_id) not in seen
    ]


def _start(stages: dict[str, Row], funnel: str, deal: Deal | None) -> int | None:
    """Where in this funnel the deal stood, None if it did not."""
    if deal is None or deal.last["sales_funnel_ext_id"] != funnel or deal.last["stage_ext_id"] not in stages:
        return None
    return int(stages[deal.last["stage_ext_id"]]["stage_order"])


def _append(call: Call, deal: Deal | None, row: Row) -> Deal:
    store, ext_id = call.store, row["ext_id"]
    store.note("deals", ext_id, "updated" if deal else "created", row)
    if deal is None:
        deal = store.deals[ext_id] = Deal(row)
    deal.last = row
    deal.stages.add((row["sales_funnel_ext_id"], row["stage_ext_id"]))
    store.history.append(row)
    due = call.clock.elapsed() + call.switches.processing_delay_s
    store.process_at(due, deal, partial(_pass, deal, row, call.switches))
    return deal


def _pass(deal: Deal, row: Row, switches: Switches) -> None:
    """One row per stage passed: what repeats the stage replaces its row."""
    shown = {name: row[name] for name in _NAMES if name != "tag_ext_ids"}
    shown["tag_ext_ids"] = [tag["ext_id"] for tag in row["tags"]]
    place = ("sales_funnel_ext_id", "stage_ext_id")
    is_same = deal.passed and all(deal.passed[-1][name] == row[name] for name in place)
    if is_same and switches.same_stage_row == "merged":
        deal.passed.pop()
    deal.passed.append(shown)


def _get(call: Call) -> Any:
    call.store.process(call.clock.elapsed())
    return listed(call, (row for deal in call.store.deals.values() for row in deal.passed), COLUMNS)


def _in_processing(call: Call) -> Any:
    return {"count": call.store.process(call.clock.elapsed())}


def _delete(call: Call) -> Any:
    ext_id = call.params["ext_id"]
    if ext_id not in call.store.deals:
        raise Refusal("entity_not_found", "ext_id", value=ext_id)
    call.store.remove_deal(ext_id)
    return {}


_IN_PROCESSING = Method(run=_in_processing, kind="read", entity="deals")

HISTORY = {
    "upload.deals_history": Method(
        run=_upload, kind="write", entity="deals", form=Form({"deals": rows_of(ROW.checked)}), rows="deals"
    ),
    "get.deals_history": Method(run=_get, kind="read", entity="deals", form=LISTING),
    "delete.deals": Method(run=_delete, kind="write", entity="deals", form=Form({"ext_id": text})),
    "get.deals_in_processing": _IN_PROCESSING,
    # The vendor's index spells it so.
    "get.deals_processing": _IN_PROCESSING,
}
