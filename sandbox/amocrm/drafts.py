"""What may be written to an entity (facts/amocrm.md §6 to §8, §10): elements read and checked, nothing changed yet."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.amocrm.call import Call
from sandbox.amocrm.reference import LOSS_REASONS, ROBOT, USERS
from sandbox.amocrm.refusal import Wrong
from sandbox.amocrm.stages import place
from sandbox.amocrm.values import accepted, container

Row = dict[str, Any]
Read = Callable[[Any, Call], Any]

LONGEST_NAME = 255
_LINKED = ("contacts", "companies")
_ELSEWHERE = {"id", "request_id", "custom_fields_values", "tags_to_add", "tags_to_delete", "_embedded"}


class Objections(Exception):
    """Everything that is wrong with one element."""

    def __init__(self, wrongs: list[Wrong]) -> None:
        super().__init__(", ".join(wrong.code for wrong in wrongs))
        self.wrongs = wrongs


@dataclass(slots=True)
class Draft:
    """Columns, fields by id (None clears), tags by what is done with them, and links of a lead that is created."""

    values: Row = field(default_factory=dict)
    fields: dict[int, Row | None] = field(default_factory=dict)
    tags: dict[str, list[Row]] = field(default_factory=dict)
    contacts: list[Row] = field(default_factory=list)
    company_id: int | None = None


def text(given: Any, call: Call) -> str:
    if not isinstance(given, str):
        raise Wrong("InvalidType")
    if len(given) > LONGEST_NAME and call.switches.long_name == "refused":
        raise Wrong("Length")
    return given[:LONGEST_NAME] if call.switches.long_name == "trimmed" else given


def whole(given: Any, _call: Call) -> int:
    if isinstance(given, bool) or not isinstance(given, int):
        raise Wrong("InvalidType")
    return given


def user(given: Any, call: Call) -> int:
    if whole(given, call) not in USERS:
        raise Wrong("NotSupportedChoice")
    return int(given)


def author(given: Any, call: Call) -> int:
    return ROBOT if given == ROBOT and whole(given, call) == ROBOT else user(given, call)


def _optional(read: Read) -> Read:
    return lambda given, call: None if given is None else read(given, call)


def _price(given: Any, call: Call) -> float:
    if isinstance(given, float) and call.switches.fractional_price == "kept":
        return int(given) if given.is_integer() else given
    return whole(given, call)


def _loss_reason(given: Any, call: Call) -> int:
    if whole(given, call) not in LOSS_REASONS:
        raise Wrong("NotSupportedChoice")
    return int(given)


_COMMON: dict[str, Read] = {
    "name": text,
    "responsible_user_id": user,
    "created_by": author,
    "updated_by": author,
    "created_at": whole,
    "updated_at": whole,
}
READERS: dict[str, dict[str, Read]] = {
    "contacts": {**_COMMON, "first_name": text, "last_name": text},
    "companies": _COMMON,
    "leads": {
        **_COMMON,
        "price": _price,
        "status_id": whole,
        "pipeline_id": whole,
        "loss_reason_id": _optional(_loss_reason),
        "closed_at": _optional(whole),
        "score": _optional(whole),
    },
}


def drafted(call: Call, entity: str, given: Row, held: Row | None, *, is_linking: bool = True) -> Draft:
    """`held` is None for a new row. Raises Objections."""
    draft, wrongs = Draft(), list[Wrong]()

    def attempt(step: Callable[[], None], *path: str) -> None:
        try:
            step()
        except Wrong as wrong:
            wrongs.append(wrong.within(*path))

    wrongs += _columns(call, entity, draft, given)
    wrongs += _missing(entity, given, held)
    attempt(lambda: _refuse_stale(call, draft, held))
    if entity == "leads" and not wrongs:
        attempt(lambda: place(call, draft.values, held))
    attempt(lambda: _tags(draft, given))
    if entity == "leads" and held is None and is_linking:
        attempt(lambda: _links(call, draft, given), "_embedded")
    wrongs += _fields(call, entity, draft, given)
    if wrongs:
        raise Objections(wrongs)
    return draft


def _columns(call: Call, entity: str, draft: Draft, given: Row) -> list[Wrong]:
    wrongs, readers = list[Wrong](), READERS[entity]
    for name in given:
        if name not in readers:
            if name not in _ELSEWHERE and call.switches.unknown_keys == "refused":
                wrongs.append(Wrong("UnexpectedField", name))
            continue
        try:
            draft.values[name] = readers[name](given[name], call)
        except Wrong as wrong:
            wrongs.append(wrong.within(name))
    return wrongs


def _missing(entity: str, given: Row, held: Row | None) -> list[Wrong]:
    """Only a company must have a name."""
    if entity != "companies" or held is not None or str(given.get("name") or "").strip():
        return []
    return [Wrong("NotBlank" if "name" in given else "FieldMissing", "name")]


def _refuse_stale(call: Call, draft: Draft, held: Row | None) -> None:
    if held is None or draft.values.get("updated_at", held["updated_at"] + 1) > held["updated_at"]:
        return
    if call.switches.stale_updated_at == "refused":
        raise Wrong("StaleUpdate", "updated_at")
    del draft.values["updated_at"]


def _tags(draft: Draft, given: Row) -> None:
    embedded = given.get("_embedded")
    embedded = embedded if isinstance(embedded, dict) else {}
    asked = {name: given[name] for name in ("tags_to_add", "tags_to_delete") if given.get(name)}
    if "tags" in embedded:
        asked = {"tags": embedded["tags"] or []}
    for name, tags in asked.items():
        if not isinstance(tags, list) or not all(
            isinstance(tag, dict) and ("id" in tag or "name" in tag) for tag in tags
        ):
            raise Wrong("InvalidType", name)
        draft.tags[name] = tags


def _links(call: Call, draft: Draft, given: Row) -> None:
    embedded = given.get("_embedded")
    if not isinstance(embedded, dict):
        return
    for name in (name for name in _LINKED if name in embedded):
        if not isinstance(embedded[name], list):
            raise Wrong("InvalidType", name)
        for index, link in enumerate(embedded[name]):
            if not isinstance(link, dict) or not call.store.has(name, link.get("id")):
                raise Wrong("NotSupportedChoice", name, index, "id")
    if len(companies := embedded.get("companies", [])) > 1:
        raise Wrong("InvalidCount", "companies")
    draft.contacts = with_main(
        [{"id": link["id"], "is_main": bool(link.get("is_main"))} for link in embedded.get("contacts", [])]
    )
    draft.company_id = companies[0]["id"] if companies else None


def with_main(links: list[Row]) -> list[Row]:
    """Each contact once, exactly one of them the main one: the last that claims it, or the first of all."""
    ids = list(dict.fromkeys(link["id"] for link in links))
    claiming = [link["id"] for link in links if link["is_main"]]
    main = claiming[-1] if claiming else next(iter(ids), None)
    return [{"id": one, "is_main": one == main} for one in ids]


def _fields(call: Call, entity: str, draft: Draft, given: Row) -> list[Wrong]:
    listed = given.get("custom_fields_values")
    if listed is None:
        return []
    if not isinstance(listed, list):
        return [Wrong("InvalidType", "custom_fields_values")]
    wrongs, zone = [], ZoneInfo(call.switches.timezone)
    for index, one in enumerate(listed):
        try:
            if not isinstance(one, dict):
                raise Wrong("InvalidType")  # noqa: TRY301 - the path is added in one place
            found = field_of(call, entity, one)
            if "values" not in one:
                raise Wrong("FieldMissing", "values")  # noqa: TRY301
            draft.fields[found["id"]] = _container(found, one["values"], zone)
        except Wrong as wrong:
            wrongs.append(wrong.within("custom_fields_values", index))
    return wrongs


def field_of(call: Call, entity: str, given: Row) -> Row:
    """The definition that `field_id` or else `field_code` names; raises Wrong."""
    known = call.store.fields[entity]
    if given.get("field_id") is not None:
        if type(given["field_id"]) is not int or given["field_id"] not in known:
            raise Wrong("NotSupportedChoice", "field_id")
        return known[given["field_id"]]
    code = given.get("field_code")
    if code is None:
        raise Wrong("FieldMissing", "field_id")
    found = next((one for one in known.values() if one["code"] == code), None)
    if found is None:
        raise Wrong("NotSupportedChoice", "field_code")
    return found


def _container(found: Row, given: Any, zone: ZoneInfo) -> Row | None:
    try:
        values = accepted(found, given, zone)
    except Wrong as wrong:
        raise wrong.within("values") from None
    return None if values is None else container(found, values)
