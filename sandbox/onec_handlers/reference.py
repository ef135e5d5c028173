"""Names that the brief gives, and how 1C calls, numbers and links its objects."""

import uuid
from typing import Any

Values = dict[str, Any]

PATH = "/trade/hs/1c_public/handlers"

INDIVIDUAL, LEGAL = "individual", "legal"
KINDS = {"contact": INDIVIDUAL, "company": LEGAL}
ENTITIES = {INDIVIDUAL: "contact", LEGAL: "company"}
CORR_ENTITIES = ("Контакт", "Компания", "Сделка", "Сотрудник")

# Each event with the document that it leaves behind an order, and the amount that its debt is the rest of.
EVENTS: dict[str, tuple[str, str]] = {
    "cancel_order": ("Аннулирование заказа", ""),
    "payment": ("Поступление на расчётный счёт", "paid"),
    "part_payment": ("Поступление на расчётный счёт", "paid"),
    "shipment": ("Реализация товаров и услуг", "shipped"),
    "part_shipment": ("Реализация товаров и услуг", "shipped"),
}

COUNTERPARTY_METADATA, ORDER_METADATA = "Справочник.Контрагенты", "Документ.ЗаказКлиента"
DOCUMENT_METADATA = {
    "Аннулирование заказа": "Документ.КорректировкаЗаказаКлиента",
    "Поступление на расчётный счёт": "Документ.ПоступлениеБезналичныхДенежныхСредств",
    "Реализация товаров и услуг": "Документ.РеализацияТоваровУслуг",
}


def link_of(metadata: str, id_1c: str, *, server: str) -> str:
    """The navigation link of an object, a web client's when `server` is its address; 1C writes a GUID's end first."""
    ref = f"{id_1c[19:23]}{id_1c[24:]}{id_1c[14:18]}{id_1c[9:13]}{id_1c[:8]}"
    link = f"e1cib/data/{metadata}?ref={ref}"
    return f"{server.rstrip('/')}/#{link}" if server else link


def guid_of(text: str) -> str:
    """As 1C prints it, in lower case; raises ValueError."""
    return str(uuid.UUID(text))
