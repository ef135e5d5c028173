"""A person in the account's interface, who is not the integration: creates, edits, deletes, restores and merges.

Fields are the API's (`name`, `price`, `status_id`, …, `custom_fields_values`, `tags_to_add`), and for short `phones`
and `emails` (texts, or `{"value", "enum_code"}`), `fields` by code or id (a value, several, or null), `company_id`,
`contacts` (ids, the first the main one), `user_id` who does it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sandbox.amocrm.account import AmoCrm
from sandbox.amocrm.call import Call
from sandbox.amocrm.drafts import Draft, Objections, drafted, with_main
from sandbox.amocrm.fields import add
from sandbox.amocrm.reference import ADMIN, HUMAN, USERS
from sandbox.amocrm.refusal import Refusal
from sandbox.amocrm.writes import create, discard, put_links, restore, update

Row = dict[str, Any]

_SHORT = {"phones": "PHONE", "emails": "EMAIL"}
_OURS = {*_SHORT, "fields", "company_id", "contacts", "user_id", "id"}


class Hands:
    """Edits rows of one account; raises KeyError for an unknown one, ValueError for what no form takes."""

    def __init__(self, account: AmoCrm) -> None:
        self._account = account

    def create(self, entity: str, fields: Row) -> Row:
        """`id`, `created_at` and `updated_at` may be given."""
        with self._account.commit("person", _user(fields)) as call:
            return _created(call, entity, fields)

    def create_many(self, entity: str, given: Sequence[Row]) -> list[Row]:
        """Rows that were there before the story begins: neither events nor webhooks tell of them."""
        with self._account.commit("person", HUMAN) as call:
            untouching = replace(call, switches=replace(call.switches, link_touches="none"))
            try:
                return [_created(untouching, entity, fields) for fields in given]
            finally:
                self._account.quieten()

    def edit(self, entity: str, row_id: int, fields: Row) -> Row:
        """What is not given stays; an edit that changes nothing is a write all the same."""
        with self._account.commit("person", _user(fields)) as call:
            held = call.store.tables[entity][row_id]
            moment = fields.get("updated_at")
            row = update(call, entity, row_id, _draft(call, entity, _without(fields, "updated_at"), held))
            _relink(call, entity, row_id, fields)
            if moment is not None:
                call.store.put(entity, call.store.tables[entity][row_id] | {"updated_at": int(moment)})
            return call.store.tables[entity][row_id] if row_id else row

    def delete(self, entity: str, row_id: int, *, user_id: int = HUMAN) -> None:
        with self._account.commit("person", user_id) as call:
            discard(call, entity, row_id)

    def restore(self, entity: str, row_id: int) -> Row:
        with self._account.commit("person", HUMAN) as call:
            return restore(call, entity, row_id)

    def fields(self, entity: str, given: Sequence[Row]) -> list[Row]:
        """New custom fields, which only an administrator makes."""
        with self._account.commit("person", ADMIN) as call:
            try:
                return add(replace(call, parts=(entity,)), list(given))
            except Refusal as refusal:
                raise ValueError(str(refusal.body)) from refusal

    def merge(self, entity: str, loser_id: int, winner_id: int) -> Row:
        """Two that are one: the winner takes over the values it lacks and all links, the loser is deleted."""
        with self._account.commit("person", HUMAN) as call:
            if loser_id == winner_id:
                raise ValueError("one cannot be merged with itself")
            loser, winner = (call.store.tables[entity][one] for one in (loser_id, winner_id))
            merged = _merged(winner, loser) | {"updated_at": call.now(), "updated_by": call.author}
            leads = call.store.linked(entity, loser_id, "leads")
            contacts = call.store.linked(entity, loser_id, "contacts")
            for lead in leads:
                put_links(
                    call, "leads", lead, _renamed(entity, call.store.tables["leads"][lead], loser_id, winner_id), []
                )
            for contact in contacts:
                put_links(call, "contacts", contact, {"company_id": winner_id}, [])
            discard(call, entity, loser_id)
            return call.store.put(entity, merged, by=call.author, deed="merge")


def _user(fields: Row) -> int:
    user = int(fields.get("user_id", HUMAN))
    if user not in USERS:
        raise ValueError(f"user_id must be one of {list(USERS)}")
    return user


def _created(call: Call, entity: str, fields: Row) -> Row:
    moment, row_id = fields.get("updated_at"), fields.get("id")
    draft = _draft(call, entity, _without(fields, "updated_at"), None)
    if moment is not None:
        draft.values["updated_at"] = int(moment)
    if entity == "leads":
        draft.contacts = _contacts(fields.get("contacts") or ())
        draft.company_id = fields.get("company_id")
    row = create(call, entity, draft, row_id=None if row_id is None else int(row_id))
    if entity == "contacts" and fields.get("company_id"):
        call.store.put(entity, row | {"company_id": int(fields["company_id"])})
    return call.store.tables[entity][row["id"]]


def _draft(call: Call, entity: str, fields: Row, held: Row | None) -> Draft:
    """Raises ValueError, also for a link to nobody."""
    plain = {name: value for name, value in fields.items() if name not in _OURS}
    custom = [*(plain.pop("custom_fields_values", None) or ()), *_custom(fields)]
    for other, ids in (("companies", [fields.get("company_id")]), ("contacts", fields.get("contacts") or ())):
        if unknown := [one for one in ids if one is not None and one not in call.store.tables[other]]:
            raise ValueError(f"no such {other}: {unknown}")
    try:
        return drafted(call, entity, plain | {"custom_fields_values": custom}, held, is_linking=False)
    except Objections as objections:
        raise ValueError("; ".join(str(wrong.as_json()) for wrong in objections.wrongs)) from objections


def _custom(fields: Row) -> list[Row]:
    named = {code: fields[short] or [] for short, code in _SHORT.items() if short in fields}
    return [
        {**_named(str(name)), "values": [one if isinstance(one, dict) else {"value": one} for one in _listed(given)]}
        for name, given in (named | fields.get("fields", {})).items()
    ]


def _named(name: str) -> Row:
    return {"field_id": int(name)} if name.isdecimal() else {"field_code": name}


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def _contacts(ids: Sequence[int]) -> list[Row]:
    return with_main([{"id": one, "is_main": False} for one in ids])


def _relink(call: Call, entity: str, row_id: int, fields: Row) -> None:
    changes: Row = {}
    if entity == "leads" and "contacts" in fields:
        changes["contacts"] = _contacts(fields["contacts"] or ())
    if entity != "companies" and "company_id" in fields:
        changes["company_id"] = fields["company_id"]
    if changes:
        put_links(call, entity, row_id, changes, [])


def _without(fields: Row, *names: str) -> Row:
    return {name: value for name, value in fields.items() if name not in names}


def _merged(winner: Row, loser: Row) -> Row:
    """Phones and emails of both; of the rest what the winner has, else what the loser had."""
    kept = {one["field_id"]: one for one in loser["custom_fields_values"] or ()}
    for one in winner["custom_fields_values"] or ():
        lost = kept.get(one["field_id"])
        several = one["field_type"] == "multitext" and lost is not None
        more = [value for value in (lost or {}).get("values", ()) if value not in one["values"]] if several else []
        kept[one["field_id"]] = one | {"values": [*one["values"], *more]}
    links = {"company_id": winner["company_id"] or loser["company_id"]} if "company_id" in winner else {}
    return winner | links | {"custom_fields_values": list(kept.values()) or None}


def _renamed(entity: str, lead: Row, loser: int, winner: int) -> Row:
    if entity == "companies":
        return {"company_id": winner}
    return {
        "contacts": with_main(
            [link | {"id": winner if link["id"] == loser else link["id"]} for link in lead["contacts"]]
        )
    }
