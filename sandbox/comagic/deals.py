"""One uploaded row of a deal's history (facts/comagic.md §8): its form, and every rule that may refuse it."""

from collections.abc import Callable
from typing import Any

from sandbox.comagic.forms import Form, Read, any_text, list_of, moment, number, one_of, text, whole
from sandbox.comagic.method import Call
from sandbox.comagic.refusal import Refusal
from sandbox.comagic.store import IN_PROCESS, Row

LINKS = ("contact_ext_ids", "main_contact_ext_id", "communication_id", "communication_type")
_PAIRS = (LINKS[:2], LINKS[2:])

_REQUIRED: dict[str, Read] = {
    "ext_id": text,
    "name": text,
    "created_date_time": moment,
    "modified_stage_date_time": moment,
    "sales_funnel_ext_id": text,
    "stage_ext_id": text,
}
_OPTIONAL: dict[str, Read] = {
    "modified_date_time": moment,
    "closed_date_time": moment,
    "contact_ext_ids": list_of(text),
    "main_contact_ext_id": text,
    "communication_id": whole,
    "communication_type": one_of("chat", "offline_message", "call", "goal", "email"),
    "revenue": number,
    "employee_ext_id": text,
    "lead_ext_id": text,
    "company_ext_id": text,
    "comments": any_text,
    "source": any_text,
    "user_fields": list_of(Form({"ext_id": text, "value": any_text}).checked),
    "tags": list_of(Form({"ext_id": text, "name": text}).checked),
    "child_customer_id": whole,
}
ROW = Form(_REQUIRED, _OPTIONAL)
_NAMES = (*_REQUIRED, *_OPTIONAL)
BLANK: Row = {**dict.fromkeys(_NAMES), "contact_ext_ids": [], "user_fields": [], "tags": [], "is_generated": False}


def verify(call: Call, rows: list[Row]) -> None:
    """Raises Refusal for the first broken rule: what a row says by itself, what it refers to, what was before it."""
    now, directory = call.now(), Directory(call)
    latest: dict[str, str] = {}
    _each(rows, lambda row: _verify_alone(call, row, now))
    _each(rows, directory.verify)
    _each(rows, lambda row: _verify_order(call, row, latest))


def _each(rows: list[Row], verify_one: Callable[[Row], None]) -> None:
    for index, row in enumerate(rows):
        try:
            verify_one(row)
        except Refusal as refusal:
            raise refusal.within("deals", index) from None


def _verify_alone(call: Call, row: Row, now: str) -> None:
    mnemonic, created = call.switches.date_mnemonic, row["created_date_time"]
    if created > now:
        raise Refusal(mnemonic, "created_date_time", value=created)
    for name in ("modified_stage_date_time", "closed_date_time"):
        moment_of = row.get(name)
        if moment_of is not None and moment_of < created:
            raise Refusal(mnemonic, name, value=moment_of)
    for pair in _PAIRS:
        given = [name for name in pair if row.get(name) not in (None, [])]
        if len(given) == 1:
            raise Refusal(call.switches.pair_mnemonic, *(name for name in pair if name not in given))
    main = row.get("main_contact_ext_id")
    if main is not None and main not in row["contact_ext_ids"]:
        raise Refusal("invalid_parameters_combination", "main_contact_ext_id", value=main)


def _verify_order(call: Call, row: Row, latest: dict[str, str]) -> None:
    """A stage cannot be entered before the one uploaded last, be it earlier in the same call."""
    ext_id, entered = row["ext_id"], row["modified_stage_date_time"]
    if ext_id not in latest and (deal := call.store.deals.get(ext_id)):
        latest[ext_id] = deal.last["modified_stage_date_time"]
    if entered < latest.get(ext_id, ""):
        raise Refusal(call.switches.date_mnemonic, "modified_stage_date_time", value=entered)
    latest[ext_id] = entered


class Directory:
    """What rows may refer to, looked up once per call."""

    def __init__(self, call: Call) -> None:
        self._switches = call.switches
        self._tables = call.store.tables
        self._funnels = {funnel["ext_id"]: _by_id(funnel) for funnel in call.store.rows("funnels")}

    def stages(self, funnel: str) -> dict[str, Row]:
        """By id, in the funnel's order."""
        return self._funnels.get(funnel, {})

    def verify(self, row: Row) -> None:
        self._require(self._funnels, row["sales_funnel_ext_id"], "sales_funnel_ext_id")
        stages = self.stages(row["sales_funnel_ext_id"])
        self._require(stages, row["stage_ext_id"], "stage_ext_id")
        self._verify_closed(row, stages[row["stage_ext_id"]])
        for index, contact in enumerate(row.get("contact_ext_ids") or ()):
            self._require(self._tables["contacts"], contact, "contact_ext_ids", index)
        if row.get("employee_ext_id") is not None:
            self._require(self._tables["employees"], row["employee_ext_id"], "employee_ext_id")
        for index, field in enumerate(row.get("user_fields") or ()):
            self._require(self._tables["user_fields"], field["ext_id"], "user_fields", index, "ext_id")
            if self._tables["user_fields"][field["ext_id"]]["data_type"] == "numeric" and not _is_number(
                field["value"]
            ):
                raise Refusal("invalid_parameter_value", "user_fields", index, "value", value=field["value"])

    def _require(self, known: dict[str, Any], ext_id: str, *path: str | int) -> None:
        if ext_id not in known:
            raise Refusal(self._switches.unknown_reference, *path, value=ext_id)

    def _verify_closed(self, row: Row, stage: Row) -> None:
        closed = row.get("closed_date_time")
        is_refused = self._switches.closed_on_open_stage == "refused"
        if closed is not None and stage["stage_status"] == IN_PROCESS and is_refused:
            raise Refusal("invalid_parameters_combination", "closed_date_time", value=closed)


def _by_id(funnel: Row) -> dict[str, Row]:
    return {stage["stage_ext_id"]: stage for stage in funnel["stages"]}


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
