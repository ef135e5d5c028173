"""The account, its users, pipelines and loss reasons (facts/amocrm.md §11). Nothing here is written by the API."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.amocrm.call import Answer, Call, Route
from sandbox.amocrm.listing import paged
from sandbox.amocrm.reference import (
    ACCOUNT_ID,
    ADMIN,
    LOSS_REASONS,
    PIPELINES,
    TASK_TYPES,
    USERS,
)
from sandbox.amocrm.refusal import Refusal
from sandbox.amocrm.views import self_link

Row = dict[str, Any]

AMOJO_ID, UUID = "00000000-0000-4000-8000-00000000a0a0", "00000000-0000-4000-8000-000000000acc"


def _account(call: Call) -> Answer:
    switches, withs = call.switches, call.withs()
    plain = {
        "id": ACCOUNT_ID,
        "name": "Песочница",
        "subdomain": switches.subdomain,
        "current_user_id": call.author,
        "country": "RU",
        "currency": "RUB",
        "currency_symbol": "₽",
        "contact_name_display_order": switches.contact_name_display_order,
    }
    more = {
        "amojo_id": AMOJO_ID,
        "uuid": UUID,
        "version": 11,
        "is_api_filter_enabled": switches.is_api_filter_enabled,
    }
    embedded = {
        "datetime_settings": _datetime_settings(call),
        "task_types": [{"id": number, "name": name} for number, name in TASK_TYPES.items()],
        "users_groups": [{"id": 0, "name": "Отдел продаж", "uuid": None}],
    }
    asked = {name: value for name, value in more.items() if name in withs}
    below = {name: value for name, value in embedded.items() if name in withs}
    return Answer({**plain, **asked, "_links": call.link("account"), **({"_embedded": below} if below else {})})


def _datetime_settings(call: Call) -> Row:
    zone = ZoneInfo(call.switches.timezone)
    offset = datetime.fromtimestamp(call.now(), UTC).astimezone(zone).strftime("%z")
    return {
        "date_pattern": "d.m.Y H:i",
        "short_date_pattern": "d.m.Y",
        "short_time_pattern": "H:i",
        "date_format": "d.m.Y",
        "time_format": "H:i:s",
        "timezone": call.switches.timezone,
        "timezone_offset": f"{offset[:3]}:{offset[3:]}",
    }


def _users(call: Call) -> Answer:
    return paged(call, "users", [_user(call, number) for number in USERS], dict, _total_items=len(USERS))


def _one_user(call: Call) -> Answer:
    if call.number() not in USERS:
        raise Refusal(HTTPStatus.NOT_FOUND, "User not found")
    return Answer(_user(call, call.number()))


def _user(call: Call, number: int) -> Row:
    return {
        "id": number,
        "name": USERS[number],
        "email": f"user{number}@crm.example",
        "lang": "ru",
        "rights": {"is_active": True, "is_admin": number == ADMIN, "group_id": None, "role_id": None},
        **self_link(call, "users", number),
    }


def _pipelines(call: Call) -> Answer:
    shown = [_pipeline(call, number) for number in PIPELINES]
    links = call.link("leads/pipelines")
    return Answer({"_total_items": len(shown), "_links": links, "_embedded": {"pipelines": shown}})


def _one_pipeline(call: Call) -> Answer:
    return Answer(_pipeline(call, _known(call.number())))


def _pipeline(call: Call, number: int) -> Row:
    held = PIPELINES[number]
    plain = {name: value for name, value in held.items() if name != "statuses"}
    return {
        **plain,
        **self_link(call, "leads/pipelines", number),
        "_embedded": {"statuses": [_status(call, one) for one in held["statuses"]]},
    }


def _statuses(call: Call) -> Answer:
    statuses = [_status(call, one) for one in PIPELINES[_known(call.number())]["statuses"]]
    links = call.link(f"leads/pipelines/{call.number()}/statuses")
    return Answer({"_total_items": len(statuses), "_links": links, "_embedded": {"statuses": statuses}})


def _status(call: Call, status: Row) -> Row:
    return status | self_link(call, f"leads/pipelines/{status['pipeline_id']}/statuses", status["id"])


def _known(number: int) -> int:
    if number not in PIPELINES:
        raise Refusal(HTTPStatus.NOT_FOUND, "Pipeline not found")
    return number


def _loss_reasons(call: Call) -> Answer:
    rows = [{"id": number, "name": name, "sort": number} for number, name in LOSS_REASONS.items()]
    return paged(call, "loss_reasons", rows, dict)


DIRECTORIES = (
    Route("GET", "account", _account, "account"),
    Route("GET", "users", _users, "users"),
    Route("GET", "users/{id}", _one_user, "users"),
    Route("GET", "leads/pipelines", _pipelines, "pipelines"),
    Route("GET", "leads/pipelines/{id}", _one_pipeline, "pipelines"),
    Route("GET", "leads/pipelines/{id}/statuses", _statuses, "pipelines"),
    Route("GET", "leads/loss_reasons", _loss_reasons, "loss_reasons"),
)
