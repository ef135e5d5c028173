"""What describes a portal and its people: statuses, pipelines, custom fields, users, the webhook itself (§6-§8)."""

from typing import TYPE_CHECKING, Any

from sandbox.bitrix24 import users
from sandbox.bitrix24.entities import COMPANIES, CONTACTS, DEALS, Entity
from sandbox.bitrix24.fields import Field
from sandbox.bitrix24.listing import Result, as_map, list_rows
from sandbox.bitrix24.method import Method, Params, Run
from sandbox.bitrix24.moments import printed
from sandbox.bitrix24.stages import categories, statuses

if TYPE_CHECKING:
    from sandbox.bitrix24.portal import Portal


def _user_get(portal: "Portal", params: Params) -> Result:
    wanted = as_map(params, "filter") | ({"ID": params["id"]} if "id" in params else {})
    order = {str(params.get("sort") or "ID"): str(params.get("order") or "ASC")}
    asked = {**params, "filter": wanted, "order": order}
    table = portal.store.tables["user"]
    return list_rows(table, asked, portal.switches, is_visible=lambda row: row.id != users.HIDDEN_USER)


def _user_current(portal: "Portal", _params: Params) -> Result:
    return Result(portal.store.tables["user"].shown(portal.owner()))


def _profile(portal: "Portal", _params: Params) -> Result:
    owner = portal.owner()
    return Result(
        {
            "ID": str(owner.id),
            "ADMIN": True,
            "NAME": owner.values["NAME"],
            "LAST_NAME": owner.values["LAST_NAME"],
            "PERSONAL_GENDER": "",
            "TIME_ZONE": "",
        }
    )


def _scope(portal: "Portal", _params: Params) -> Result:
    return Result(list(portal.switches.scopes))


def _server_time(portal: "Portal", _params: Params) -> Result:
    return Result(printed(portal.clock.now(), portal.switches.server_offset))


def _status_list(_portal: "Portal", params: Params) -> Result:
    rows = _exactly(statuses(), as_map(params, "filter"))
    return Result(rows, total=len(rows))


def _category_list(_portal: "Portal", _params: Params) -> Result:
    rows = categories()
    return Result({"categories": rows}, total=len(rows))


def _userfields(entity: Entity) -> Run:
    described = [
        _userfield(entity, field, number)
        for number, field in enumerate((field for field in entity.schema.values() if field.is_custom), 1)
    ]

    def run(_portal: "Portal", params: Params) -> Result:
        wanted = as_map(params, "filter")
        language = wanted.pop("LANG", None) if isinstance(wanted, dict) else None
        rows = _exactly(described, wanted)
        if not language:
            rows = [{name: value for name, value in row.items() if not name.endswith("_LABEL")} for row in rows]
        return Result(rows, total=len(rows))

    return run


def _userfield(entity: Entity, field: Field, number: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "ID": str(2 * number + 1),
        "ENTITY_ID": f"CRM_{entity.name.upper()}",
        "FIELD_NAME": field.code,
        "USER_TYPE_ID": field.type,
        "XML_ID": None,
        "SORT": "100",
        "MULTIPLE": "Y" if field.is_multiple else "N",
        "MANDATORY": "N",
        "SHOW_FILTER": "E",
        "SHOW_IN_LIST": "Y",
        "EDIT_IN_LIST": "Y",
        "IS_SEARCHABLE": "N",
        "SETTINGS": [],
        **dict.fromkeys(("EDIT_FORM_LABEL", "LIST_COLUMN_LABEL", "LIST_FILTER_LABEL"), field.label),
    }
    if field.options:
        row["LIST"] = [
            {"ID": str(option), "SORT": str(10 * place), "VALUE": name, "DEF": "N", "XML_ID": f"option-{option}"}
            for place, (option, name) in enumerate(field.options, 1)
        ]
    return row


def _exactly(rows: list[dict[str, Any]], wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """Equality is all that directories filter by."""
    plain = {code.removeprefix("="): value for code, value in wanted.items()}
    return [row for row in rows if all(row.get(code) == value for code, value in plain.items())]


DIRECTORIES = {
    **{
        f"crm.{entity.name}.userfield.list": Method(_userfields(entity), "crm", "other", entity.name)
        for entity in (CONTACTS, COMPANIES, DEALS)
    },
    "crm.status.list": Method(_status_list, "crm", "other"),
    "crm.category.list": Method(_category_list, "crm", "other"),
    "user.get": Method(_user_get, "user", "read", "user"),
    "user.current": Method(_user_current, "user", "other", "user"),
    "profile": Method(_profile, "", "other"),
    "scope": Method(_scope, "", "other"),
    "server.time": Method(_server_time, "", "other"),
}
