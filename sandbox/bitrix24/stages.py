"""Pipelines, stages and other directories of a portal (facts/bitrix24.md §7.1, §7.3)."""

from typing import Any

# Stage → (name, semantic, kind). The same in every pipeline, prefixed `C{category}:` outside the default one.
STAGES: dict[str, tuple[str, str, str]] = {
    "NEW": ("Новая", "P", "process"),
    "PREPARATION": ("Подготовка документов", "P", "process"),
    "PREPAYMENT_INVOICE": ("Счёт на предоплату", "P", "process"),
    "EXECUTING": ("В работе", "P", "process"),
    "FINAL_INVOICE": ("Финальный счёт", "P", "process"),
    "WON": ("Сделка успешна", "S", "success"),
    "LOSE": ("Сделка провалена", "F", "failure"),
    "APOLOGY": ("Анализ причины провала", "F", "apology"),
}
CATEGORIES = {0: "Абонементы", 1: "Разовые занятия", 2: "Турниры"}
DIRECTORIES: dict[str, dict[str, str]] = {
    "CONTACT_TYPE": {"CLIENT": "Клиенты", "SUPPLIER": "Поставщики", "PARTNER": "Партнёры", "OTHER": "Другое"},
    "SOURCE": {"CALL": "Звонок", "EMAIL": "Электронная почта", "WEB": "Веб-сайт", "OTHER": "Другое"},
    "HONORIFIC": {"HNR_RU_1": "г-н", "HNR_RU_2": "г-жа"},
    "COMPANY_TYPE": {"CUSTOMER": "Клиент", "SUPPLIER": "Поставщик", "PARTNER": "Партнёр", "OTHER": "Другое"},
    "INDUSTRY": {"IT": "Информационные технологии", "SERVICES": "Услуги", "OTHER": "Другое"},
    "EMPLOYEES": {"EMPLOYEES_1": "менее 50", "EMPLOYEES_2": "50-250", "EMPLOYEES_3": "250-500"},
    "DEAL_TYPE": {"SALE": "Продажа", "SERVICES": "Услуги"},
}


def semantic_of(stage: str) -> str:
    """P in progress, S success, F failure; an unknown stage is in progress."""
    return STAGES.get(stage.rpartition(":")[2], ("", "P", ""))[1]


def staged(stage: str, category: str) -> str:
    """The stage of the same name within a pipeline, as a deal does not leave its pipeline by a change of stage."""
    plain = stage.rpartition(":")[2]
    return plain if category == "0" else f"C{category}:{plain}"


def categories() -> list[dict[str, Any]]:
    return [
        {
            "id": category,
            "name": name,
            "sort": 100 * (number + 1),
            "entityTypeId": 2,
            "isDefault": "Y" if category == 0 else "N",
        }
        for number, (category, name) in enumerate(CATEGORIES.items())
    ]


def statuses() -> list[dict[str, Any]]:
    """Every row of `crm.status.list`."""
    rows: list[dict[str, Any]] = []
    for category in CATEGORIES:
        entity = f"DEAL_STAGE_{category}" if category else "DEAL_STAGE"
        prefix = f"C{category}:" if category else ""
        rows += [_stage(entity, prefix, category, stage) for stage in STAGES]
    for entity, names in DIRECTORIES.items():
        rows += [_status(entity, status, name) for status, name in names.items()]
    return [{"ID": str(2 * number + 1), **row, "SORT": str(10 * (number + 1))} for number, row in enumerate(rows)]


def _status(entity: str, status: str, name: str) -> dict[str, Any]:
    return {"ENTITY_ID": entity, "STATUS_ID": status, "NAME": name, "NAME_INIT": name, "SYSTEM": "Y", "SEMANTICS": None}


def _stage(entity: str, prefix: str, category: int, stage: str) -> dict[str, Any]:
    name, semantic, kind = STAGES[stage]
    return {
        **_status(entity, f"{prefix}{stage}", name),
        "CATEGORY_ID": str(category),
        "COLOR": "#39A8EF",
        "SEMANTICS": None if semantic == "P" else semantic,
        "EXTRA": {"SEMANTICS": kind, "COLOR": "#39A8EF"},
    }
