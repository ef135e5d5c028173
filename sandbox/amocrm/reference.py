"""What a fresh account holds: its users, pipelines and custom fields. Every id is fixed and can be named."""

from typing import Any

Row = dict[str, Any]

ENTITIES = ("contacts", "companies", "leads")
SINGULAR = {"contacts": "contact", "companies": "company", "leads": "lead", "tasks": "task"}

ACCOUNT_ID = 31_000_001
ADMIN, INTEGRATION, HUMAN, COLLEAGUE = 8_000_001, 8_000_002, 8_000_003, 8_000_004
ROBOT = 0
USERS = {
    ADMIN: "Администратор",
    INTEGRATION: "Паром",
    HUMAN: "Глеб Коневский",
    COLLEAGUE: "Нина Королёва",
}

MAIN_PIPELINE, SECOND_PIPELINE = 7_000_001, 7_000_002
WON, LOST = 142, 143
CLOSED = (WON, LOST)
UNSORTED_TYPE = 1
LOSS_REASONS = {9_001: "Слишком дорого", 9_002: "Передумали"}
TASK_TYPES = {1: "Связаться", 2: "Встреча"}


def _status(pipeline: int, status: int, name: str, sort: int, *, is_unsorted: bool = False) -> Row:
    return {
        "id": status,
        "name": name,
        "sort": sort,
        "is_editable": status not in CLOSED and not is_unsorted,
        "pipeline_id": pipeline,
        "color": "#fffeb2",
        "type": UNSORTED_TYPE if is_unsorted else 0,
        "account_id": ACCOUNT_ID,
    }


def _pipeline(pipeline: int, name: str, stages: tuple[str, ...]) -> Row:
    """Stage ids are the pipeline's times ten, counted from the incoming stage, which is 0."""
    first = _status(pipeline, pipeline * 10, "Неразобранное", 10, is_unsorted=True)
    own = [_status(pipeline, pipeline * 10 + n, stage, 10 + 10 * n) for n, stage in enumerate(stages, 1)]
    ends = (
        _status(pipeline, WON, "Успешно реализовано", 10_000),
        _status(pipeline, LOST, "Закрыто и не реализовано", 11_000),
    )
    return {
        "id": pipeline,
        "name": name,
        "sort": pipeline - MAIN_PIPELINE + 1,
        "is_main": pipeline == MAIN_PIPELINE,
        "is_unsorted_on": True,
        "is_archive": False,
        "account_id": ACCOUNT_ID,
        "statuses": [first, *own, *ends],
    }


PIPELINES = {
    MAIN_PIPELINE: _pipeline(MAIN_PIPELINE, "Продажи", ("Заявка", "Счёт выставлен", "Часть оплачена", "Отгрузка")),
    SECOND_PIPELINE: _pipeline(SECOND_PIPELINE, "Опт", ("Запрос", "Согласование")),
}

PHONE_CODES = ("WORK", "WORKDD", "MOB", "FAX", "HOME", "OTHER")
EMAIL_CODES = ("WORK", "PRIV", "OTHER")

POSITION, PHONE, EMAIL, CITY, ORIGIN, BIRTHDAY = 100_001, 100_002, 100_003, 100_010, 100_011, 100_012
COMPANY_PHONE, COMPANY_EMAIL, WEB, ADDRESS, INN = 200_002, 200_003, 200_004, 200_005, 200_010
PAID_SUM, DEBT_SUM, DOCUMENT, SHIPPED_AT, PAYMENT_WAY = 300_010, 300_011, 300_012, 300_013, 300_014


def field(
    field_id: int,
    entity: str,
    name: str,
    kind: str,
    *,
    code: str | None = None,
    enums: list[Row] | None = None,
    is_predefined: bool = False,
    is_api_only: bool = False,
    sort: int = 500,
) -> Row:
    return {
        "id": field_id,
        "name": name,
        "type": kind,
        "account_id": ACCOUNT_ID,
        "code": code,
        "sort": sort,
        "is_api_only": is_api_only,
        "enums": enums,
        "group_id": None,
        "required_statuses": [],
        "hidden_statuses": [],
        "is_deletable": not is_predefined,
        "is_predefined": is_predefined,
        "entity_type": entity,
    }


def enums_of(first_id: int, values: tuple[str, ...], *, coded: bool = False) -> list[Row]:
    return [
        {"id": first_id + n, "value": value, "sort": n, "code": value if coded else None}
        for n, value in enumerate(values, 1)
    ]


def _standard(entity: str, phone: int, email: int) -> list[Row]:
    return [
        field(
            phone,
            entity,
            "Телефон",
            "multitext",
            code="PHONE",
            enums=enums_of(phone * 10, PHONE_CODES, coded=True),
            is_predefined=True,
        ),
        field(
            email,
            entity,
            "Email",
            "multitext",
            code="EMAIL",
            enums=enums_of(email * 10, EMAIL_CODES, coded=True),
            is_predefined=True,
        ),
    ]


def fields() -> dict[str, dict[int, Row]]:
    """By entity and id; PHONE and EMAIL, and what this customer added."""
    listed = [
        field(POSITION, "contacts", "Должность", "text", code="POSITION", is_predefined=True),
        *_standard("contacts", PHONE, EMAIL),
        field(CITY, "contacts", "Город", "text"),
        field(ORIGIN, "contacts", "Источник", "select", enums=enums_of(ORIGIN * 10, ("Сайт", "Звонок", "Выставка"))),
        field(BIRTHDAY, "contacts", "День рождения", "birthday"),
        *_standard("companies", COMPANY_PHONE, COMPANY_EMAIL),
        field(WEB, "companies", "Web", "url", code="WEB", is_predefined=True),
        field(ADDRESS, "companies", "Адрес", "textarea", code="ADDRESS", is_predefined=True),
        field(INN, "companies", "ИНН", "text", code="INN"),
        field(PAID_SUM, "leads", "Оплачено", "monetary", code="PAID_SUM"),
        field(DEBT_SUM, "leads", "Остаток долга", "monetary", code="DEBT_SUM"),
        field(DOCUMENT, "leads", "Документ 1С", "text", code="DOCUMENT"),
        field(SHIPPED_AT, "leads", "Дата отгрузки", "date", code="SHIPPED_AT"),
        field(PAYMENT_WAY, "leads", "Способ оплаты", "select", enums=enums_of(PAYMENT_WAY * 10, ("Счёт", "Карта"))),
    ]
    return {entity: {row["id"]: row for row in listed if row["entity_type"] == entity} for entity in ENTITIES}
