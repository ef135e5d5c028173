"""POST leads/complex (facts/amocrm.md §8): lead, contact and company at once; duplicates by phone or email."""

import re
from dataclasses import dataclass
from typing import Any

from sandbox.amocrm.call import Answer, Call, Route, request_id
from sandbox.amocrm.drafts import Draft, Objections, drafted
from sandbox.amocrm.reference import CLOSED, MAIN_PIPELINE, PIPELINES, UNSORTED_TYPE
from sandbox.amocrm.refusal import Wrong, invalid
from sandbox.amocrm.writes import create, put_links, update

Row = dict[str, Any]

MOST_LEADS, MOST_FIELDS, LEAST_DIGITS = 50, 40, 10


@dataclass(slots=True)
class Party:
    """The contact or company of a lead: one that is there (`id`), or a draft of a new one; neither for none."""

    entity: str
    id: int | None = None
    draft: Draft | None = None


def _complex(call: Call) -> Answer:
    elements = call.elements(MOST_LEADS)
    read, errors = list[tuple[Draft, Party, Party]](), []
    for index, element in enumerate(elements):
        try:
            read.append(_read(call, element))
        except Objections as objections:
            errors.append((request_id(element, index), objections.wrongs))
    if errors:
        raise invalid(errors)
    # Duplicates are looked for among what was there before this request.
    duplicates = [_duplicate(call, contact) for _, contact, _ in read]
    told = []
    for (lead, contact, company), duplicate, (index, element) in zip(
        read, duplicates, enumerate(elements), strict=True
    ):
        written = _written(call, lead, contact, company, duplicate=duplicate, is_incoming=_is_incoming(element))
        told.append(written | {"request_id": [request_id(element, index)]})
    return Answer(told, keys=tuple(str(one["id"]) for one in told))


def _read(call: Call, element: Row) -> tuple[Draft, Party, Party]:
    """Raises Objections with paths from the lead's root."""
    wrongs, drafts = list[Wrong](), dict[str, Party]()
    embedded = element.get("_embedded") if isinstance(element.get("_embedded"), dict) else {}
    for entity in ("contacts", "companies"):
        drafts[entity] = Party(entity)
        given = (embedded or {}).get(entity) or []
        if not isinstance(given, list) or len(given) > 1 or not all(isinstance(one, dict) for one in given):
            wrongs.append(Wrong("InvalidCount", "_embedded", entity))
        elif given:
            try:
                drafts[entity] = _party(call, entity, given[0])
            except Objections as objections:
                wrongs += [wrong.within("_embedded", entity, 0) for wrong in objections.wrongs]
    lead = {name: value for name, value in element.items() if name != "_embedded"}
    lead |= {"_embedded": {"tags": embedded["tags"]}} if embedded and "tags" in embedded else {}
    try:
        _refuse_many_fields(lead)
        draft = drafted(call, "leads", lead, None, is_linking=False)
    except Objections as objections:
        wrongs += objections.wrongs
    if wrongs:
        raise Objections(wrongs)
    return draft, drafts["contacts"], drafts["companies"]


def _party(call: Call, entity: str, given: Row) -> Party:
    if "id" not in given:
        _refuse_many_fields(given)
        return Party(entity, draft=drafted(call, entity, given, None))
    if not call.store.has(entity, given["id"]):
        raise Objections([Wrong("NotSupportedChoice", "id")])
    return Party(entity, id=given["id"])


def _refuse_many_fields(given: Row) -> None:
    listed = given.get("custom_fields_values")
    if isinstance(listed, list) and len(listed) > MOST_FIELDS:
        raise Objections([Wrong("InvalidCount", "custom_fields_values")])


def _written(
    call: Call, lead: Draft, contact: Party, company: Party, *, duplicate: int | None, is_incoming: bool
) -> Row:
    contact_id = duplicate or _settled(call, contact)
    company_id = _settled(call, company)
    if contact.draft and contact_id and company_id:
        put_links(call, "contacts", contact_id, {"company_id": company_id}, [("companies", company_id)])
    open_lead = _open_lead(call, duplicate) if duplicate else None
    if open_lead:
        row, is_merged = update(call, "leads", open_lead, _attached(lead)), True
    else:
        lead.contacts = [{"id": contact_id, "is_main": True}] if contact_id else []
        lead.company_id = company_id
        if is_incoming:
            lead.values |= _incoming(lead.values.get("pipeline_id", MAIN_PIPELINE))
        row, is_merged = create(call, "leads", lead), False
    return {"id": row["id"], "contact_id": contact_id, "company_id": company_id, "merged": is_merged}


def _attached(lead: Draft) -> Draft:
    """What of a lead reaches the one that was there: its fields and tags, not its name, price or stage."""
    return Draft(fields=lead.fields, tags={name: tags for name, tags in lead.tags.items() if name == "tags_to_add"})


def _settled(call: Call, party: Party) -> int | None:
    if party.draft is None:
        return party.id
    return int(create(call, party.entity, party.draft)["id"])


def _is_incoming(element: Row) -> bool:
    embedded = element.get("_embedded")
    return isinstance(embedded, dict) and bool(embedded.get("metadata"))


def _incoming(pipeline: int) -> Row:
    stage = next(one for one in PIPELINES[pipeline]["statuses"] if one["type"] == UNSORTED_TYPE)
    return {"pipeline_id": pipeline, "status_id": stage["id"]}


def _duplicate(call: Call, party: Party) -> int | None:
    """The oldest contact with one of the phones or emails, if the account controls duplicates."""
    if party.draft is None or not call.switches.duplicate_control:
        return None
    fields = [one for one in party.draft.fields.values() if one]
    wanted = _reachable(fields)
    found = (row["id"] for row in call.store.rows("contacts") if wanted & _reachable(row["custom_fields_values"] or ()))
    return next(found, None)


def _reachable(fields: Any) -> set[str]:
    """Phones by their last digits, emails in lower case."""
    values = {
        (one["field_code"], value["value"])
        for one in fields
        for value in one["values"]
        if one["field_code"] in ("PHONE", "EMAIL")
    }
    phones = {re.sub(r"\D", "", text)[-LEAST_DIGITS:] for code, text in values if code == "PHONE"}
    return {text.lower() for code, text in values if code == "EMAIL"} | {
        one for one in phones if len(one) == LEAST_DIGITS
    }


def _open_lead(call: Call, contact: int) -> int | None:
    leads = (call.store.tables["leads"][lead] for lead in call.store.linked("contacts", contact, "leads"))
    return next((int(lead["id"]) for lead in leads if lead["status_id"] not in CLOSED), None)


COMPLEX = (Route("POST", "leads/complex", _complex, "leads"),)
