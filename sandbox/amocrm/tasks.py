"""Tasks (facts/amocrm.md §13): one array for all entities, completed by PATCH."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from sandbox.amocrm.call import NOTHING, Answer, Call, Route, request_id
from sandbox.amocrm.drafts import Objections, author, user, whole
from sandbox.amocrm.filters import tests_of
from sandbox.amocrm.listing import ordered, paged
from sandbox.amocrm.reference import ACCOUNT_ID, ENTITIES, TASK_TYPES
from sandbox.amocrm.refusal import Refusal, Wrong, invalid
from sandbox.amocrm.views import self_link

Row = dict[str, Any]


def _text(given: Any, _call: Call) -> str:
    if not isinstance(given, str):
        raise Wrong("InvalidType")
    if not given.strip():
        raise Wrong("NotBlank")
    return given


def _boolean(given: Any, _call: Call) -> bool:
    if not isinstance(given, bool):
        raise Wrong("InvalidType")
    return given


def _kind(given: Any, call: Call) -> int:
    if whole(given, call) not in TASK_TYPES:
        raise Wrong("NotSupportedChoice")
    return int(given)


def _result(given: Any, _call: Call) -> Row | None:
    if given is not None and not (isinstance(given, dict) and isinstance(given.get("text"), str)):
        raise Wrong("InvalidType")
    return given


def _entity_type(given: Any, _call: Call) -> str:
    if given not in ENTITIES:
        raise Wrong("NotSupportedChoice")
    return str(given)


READERS: dict[str, Callable[[Any, Call], Any]] = {
    "text": _text,
    "complete_till": whole,
    "task_type_id": _kind,
    "entity_id": whole,
    "entity_type": _entity_type,
    "responsible_user_id": user,
    "created_by": author,
    "updated_by": author,
    "created_at": whole,
    "duration": whole,
    "is_completed": _boolean,
    "result": _result,
}


def _list(call: Call) -> Answer:
    rows = call.store.tables["tasks"].values()
    found = [row for row in rows if all(test(row) for test in tests_of(call, "tasks"))]
    columns = {"created_at", "complete_till", "id"}
    return paged(call, "tasks", ordered(call, found, columns), lambda row: row | self_link(call, "tasks", row["id"]))


def _get(call: Call) -> Answer:
    row = call.store.tables["tasks"].get(call.number())
    return Answer(row | self_link(call, "tasks", row["id"])) if row else NOTHING


def _create(call: Call) -> Answer:
    return _written(call, call.elements(), lambda element: _blank(call) | _read(call, element, is_new=True))


def _update(call: Call) -> Answer:
    return _written(call, call.elements(), lambda element: _changed(call, element.get("id"), element))


def _update_one(call: Call) -> Answer:
    given = call.object()
    if call.number() not in call.store.tables["tasks"]:
        raise Refusal(HTTPStatus.NOT_FOUND, "Task not found")
    answer = _written(call, [given], lambda element: _changed(call, call.number(), element))
    return Answer(answer.body["_embedded"]["tasks"][0], keys=answer.keys)


def _written(call: Call, elements: list[Row], read: Callable[[Row], Row]) -> Answer:
    """Every element read before any is written."""
    rows, errors = list[Row](), []
    for index, element in enumerate(elements):
        try:
            rows.append(read(element))
        except Objections as objections:
            errors.append((request_id(element, index), objections.wrongs))
    if errors:
        raise invalid(errors)
    told = []
    for index, values in enumerate(rows):
        task_id = values["id"] or call.store.new_id("tasks")
        row = call.store.put("tasks", values | {"id": task_id}, by=values["updated_by"])
        _show_closest(call, row)
        bumped = {"id": row["id"], "updated_at": row["updated_at"], "request_id": request_id(elements[index], index)}
        told.append(bumped | self_link(call, "tasks", row["id"]))
    return Answer(
        {"_links": call.link("tasks"), "_embedded": {"tasks": told}}, keys=tuple(str(one["id"]) for one in told)
    )


def _blank(call: Call) -> Row:
    now, by = call.now(), call.author
    return {
        "id": 0,
        "created_by": by,
        "updated_by": by,
        "created_at": now,
        "updated_at": now,
        "responsible_user_id": by,
        "group_id": 0,
        "entity_id": None,
        "entity_type": None,
        "duration": 0,
        "is_completed": False,
        "task_type_id": 1,
        "text": "",
        "result": None,
        "complete_till": 0,
        "account_id": ACCOUNT_ID,
    }


def _changed(call: Call, task_id: Any, element: Row) -> Row:
    held = call.store.tables["tasks"].get(task_id if type(task_id) is int else 0)
    if held is None:
        raise Objections([Wrong("NotFound" if task_id is not None else "FieldMissing", "id")])
    return held | {"updated_at": call.now(), "updated_by": call.author} | _read(call, element, is_new=False)


def _read(call: Call, given: Row, *, is_new: bool) -> Row:
    """Raises Objections."""
    values, wrongs = Row(), list[Wrong]()
    if is_new:
        wrongs += [Wrong("FieldMissing", name) for name in ("text", "complete_till") if name not in given]
    for name in (name for name in READERS if name in given):
        try:
            values[name] = READERS[name](given[name], call)
        except Wrong as wrong:
            wrongs.append(wrong.within(name))
    if "entity_type" in values and not call.store.has(values["entity_type"], values.get("entity_id")):
        wrongs.append(Wrong("NotSupportedChoice", "entity_id"))
    if wrongs:
        raise Objections(wrongs)
    return values


def _show_closest(call: Call, task: Row) -> None:
    """The entity tells its next open task; it does not count as changed by that."""
    entity, owner = task["entity_type"], task["entity_id"]
    if entity is None or owner not in call.store.tables[entity]:
        return
    tasks = call.store.tables["tasks"].values()
    due = [
        one["complete_till"]
        for one in tasks
        if (one["entity_type"], one["entity_id"]) == (entity, owner) and not one["is_completed"]
    ]
    held = call.store.tables[entity][owner]
    if held["closest_task_at"] != (closest := min(due, default=None)):
        call.store.put(entity, held | {"closest_task_at": closest})


TASKS = (
    Route("GET", "tasks", _list, "tasks"),
    Route("POST", "tasks", _create, "tasks"),
    Route("PATCH", "tasks", _update, "tasks"),
    Route("GET", "tasks/{id}", _get, "tasks"),
    Route("PATCH", "tasks/{id}", _update_one, "tasks"),
)
