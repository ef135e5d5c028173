"""Contact cards (facts/comagic.md §6, §7): created up to a thousand at once, updated and deleted one by one."""

from typing import Any

from sandbox.comagic.directories import known
from sandbox.comagic.forms import Form, Read, any_text, distinct, email, list_of, moment, phone, rows_of, text
from sandbox.comagic.listing import LISTING, Columns, listed
from sandbox.comagic.method import Call, Method
from sandbox.comagic.refusal import Refusal
from sandbox.comagic.store import Row
from sandbox.comagic.switches import Switches

COLUMNS = Columns(
    ("ext_id", "name", "created_date_time", "phone_numbers", "emails", "component"),
    frozenset({"ext_id", "name", "phone_numbers", "emails", "component"}),
    frozenset({"ext_id", "name", "component"}),
)
# What a null clears a field to.
_EMPTY: dict[str, Any] = {"created_date_time": None, "phone_numbers": [], "emails": []}

_MORE: dict[str, Read] = {
    "created_date_time": moment,
    "phone_numbers": list_of(phone),
    "emails": distinct(list_of(email)),
}
_CARD = Form({"ext_id": text, "name": text}, _MORE)
_LENIENT_CARD = _CARD.with_optional({"user_fields": list_of(Form({"ext_id": text, "value": any_text}).checked)})


def _card(given: Any, switches: Switches) -> Row:
    form = _LENIENT_CARD if switches.contact_user_fields == "stored" else _CARD
    return form.checked(given, switches)


def _create(call: Call) -> Any:
    """All or nothing, or with `contacts_atomic` off whatever is not objectionable."""
    cards, owners = call.params["contacts"], _owners(call)
    taken = set(call.store.tables["contacts"])
    refused: list[Refusal] = []
    kept: list[int] = []
    for index, card in enumerate(cards):
        try:
            _refuse_taken(call, card, taken, owners, index)
        except Refusal as refusal:
            refused.append(refusal)
            continue
        kept.append(index)
        taken.add(card["ext_id"])
        if call.switches.unique_phones:
            owners.update(dict.fromkeys(card.get("phone_numbers") or (), card["ext_id"]))
    if refused and call.switches.contacts_atomic:
        raise refused[0]
    now = call.now()
    for index in kept:
        call.store.put("contacts", _created(cards[index], now))
    if refused:
        refused[0].kept = frozenset(kept)
        raise refused[0]
    return {}


def _refuse_taken(call: Call, card: Row, taken: set[str], owners: dict[str, str], index: int) -> None:
    if card["ext_id"] in taken:
        refusal = Refusal("duplicate_entity", "ext_id", value=card["ext_id"])
        raise refusal.within("contacts", index) if call.switches.duplicate_field == "contacts.ext_id" else refusal
    try:
        _refuse_foreign(card, owners)
    except Refusal as refusal:
        raise refusal.within("contacts", index) from None


def _owners(call: Call) -> dict[str, str]:
    """Which contact has a phone; nobody asks while phones need not be unique."""
    if not call.switches.unique_phones:
        return {}
    return {phone: row["ext_id"] for row in call.store.rows("contacts") for phone in row["phone_numbers"]}


def _refuse_foreign(card: Row, owners: dict[str, str]) -> None:
    for index, number in enumerate(card.get("phone_numbers") or ()):
        if owners.get(number, card["ext_id"]) != card["ext_id"]:
            raise Refusal("already_in_use", "phone_numbers", index, value=number)


def _created(card: Row, now: str) -> Row:
    given = {name: value for name, value in card.items() if value is not None}
    row = {"ext_id": "", "name": "", **_EMPTY, "created_date_time": now, **given}
    return {**row, "component": "dataapi"}


def _update(call: Call) -> Any:
    params = call.params
    row = known(call, "contacts")
    if "name" in params and params["name"] is None:
        raise Refusal("invalid_parameter_value", "name", value=None)
    if call.switches.unique_phones:
        _refuse_foreign(params, _owners(call))
    changed = {name: _EMPTY.get(name) if value is None else value for name, value in params.items()}
    call.store.put("contacts", {**row, **changed})
    return {}


def _delete(call: Call) -> Any:
    ext_id = known(call, "contacts")["ext_id"]
    if call.store.is_used(lambda row: ext_id in (row["contact_ext_ids"] or ())):
        raise Refusal("dependency_error", "ext_id", value=ext_id)
    call.store.remove("contacts", ext_id)
    return {}


def _get(call: Call) -> Any:
    return listed(call, call.store.rows("contacts"), COLUMNS)


CONTACTS = {
    "create.deal_contacts": Method(
        run=_create, kind="write", entity="contacts", form=Form({"contacts": rows_of(_card)}), rows="contacts"
    ),
    "update.deal_contacts": Method(
        run=_update, kind="write", entity="contacts", form=Form({"ext_id": text}, {"name": text, **_MORE})
    ),
    "get.deal_contacts": Method(run=_get, kind="read", entity="contacts", form=LISTING),
    "delete.deal_contacts": Method(run=_delete, kind="write", entity="contacts", form=Form({"ext_id": text})),
}
