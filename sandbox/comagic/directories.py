"""The small directories (facts/comagic.md §10): custom fields of deals, and employees."""

from collections.abc import Callable
from typing import Any

from sandbox.comagic.forms import Form, Read, one_of, text
from sandbox.comagic.listing import LISTING, Columns, listed
from sandbox.comagic.method import Call, Method, Run
from sandbox.comagic.refusal import Refusal
from sandbox.comagic.store import Row

_FIELD, _EMPLOYEE = ("ext_id", "name", "data_type"), ("ext_id", "name")


def known(call: Call, entity: str, name: str = "ext_id") -> Row:
    """The row that the parameter `name` means; raises Refusal."""
    ext_id = call.params[name]
    row = call.store.tables[entity].get(ext_id)
    if row is None:
        raise Refusal("entity_not_found", name, value=ext_id)
    return row


def _create(entity: str) -> Run:
    def run(call: Call) -> Any:
        ext_id = call.params["ext_id"]
        if ext_id in call.store.tables[entity]:
            raise Refusal("duplicate_entity", "ext_id", value=ext_id)
        call.store.put(entity, dict(call.params))
        return {"ext_id": ext_id}

    return run


def _rename(entity: str) -> Run:
    def run(call: Call) -> Any:
        call.store.put(entity, {**known(call, entity), "name": call.params["name"]})
        return {}

    return run


def _delete(entity: str, is_user: Callable[[Row, str], bool]) -> Run:
    def run(call: Call) -> Any:
        ext_id = known(call, entity)["ext_id"]
        if call.store.is_used(lambda row: is_user(row, ext_id)):
            raise Refusal("dependency_error", "ext_id", value=ext_id)
        call.store.remove(entity, ext_id)
        return {}

    return run


def _get(entity: str, names: tuple[str, ...]) -> Run:
    columns = Columns(names, frozenset(names), frozenset(names))
    return lambda call: listed(call, call.store.rows(entity), columns)


def _has_field(row: Row, ext_id: str) -> bool:
    return any(field["ext_id"] == ext_id for field in row["user_fields"])


def _has_employee(row: Row, ext_id: str) -> bool:
    return bool(row["employee_ext_id"] == ext_id)


def _write(entity: str, run: Run, **required: Read) -> Method:
    return Method(run=run, kind="write", entity=entity, form=Form({"ext_id": text, **required}))


_DATA_TYPE = one_of("numeric", "string")

DIRECTORIES = {
    "create.deal_user_field": _write("user_fields", _create("user_fields"), name=text, data_type=_DATA_TYPE),
    "update.deal_user_field": _write("user_fields", _rename("user_fields"), name=text),
    "delete.deal_user_field": _write("user_fields", _delete("user_fields", _has_field)),
    "get.deal_user_fields": Method(run=_get("user_fields", _FIELD), kind="read", entity="user_fields", form=LISTING),
    "create.deal_employees": _write("employees", _create("employees"), name=text),
    "update.deal_employees": _write("employees", _rename("employees"), name=text),
    "delete.deal_employees": _write("employees", _delete("employees", _has_employee)),
    "get.deal_employees": Method(run=_get("employees", _EMPLOYEE), kind="read", entity="employees", form=LISTING),
}
