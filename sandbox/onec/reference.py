"""What the base knew before anybody came: names of sets, the stages with their fixed GUIDs, kinds of contact data."""

import uuid

EMPTY_REF = "00000000-0000-0000-0000-000000000000"
EMPTY_DATE = "0001-01-01T00:00:00"

INTERESTS = "Document_CRM_Интерес"
STATES = "Catalog_CRM_СостоянияИнтересов"
USERS = "Catalog_Пользователи"
CONTACT_PERSONS = "Catalog_КонтактныеЛицаПартнеров"
POTENTIAL_CLIENTS = "Catalog_CRM_ПотенциальныеКлиенты"
PARTNERS = "Catalog_Партнеры"
COUNTERPARTIES = "Catalog_Контрагенты"

# Attributes of an Interest that hold people, in the order in which phones and e-mails are taken from them (§B).
PEOPLE = ("КонтактноеЛицо", "ПотенциальныйКлиент", "Партнер")

STAGES = {
    "Новый": "5c0e0001-1f6a-11ee-8a2b-0050569a0c11",
    "Квалифицирован": "5c0e0002-1f6a-11ee-8a2b-0050569a0c11",
    "Предложение": "5c0e0003-1f6a-11ee-8a2b-0050569a0c11",
    "Договор": "5c0e0004-1f6a-11ee-8a2b-0050569a0c11",
    "Выигран": "5c0e0005-1f6a-11ee-8a2b-0050569a0c11",
    "Проигран": "5c0e0006-1f6a-11ee-8a2b-0050569a0c11",
}
STAFF = {
    "Сергеев Андрей": "7a110001-1f6a-11ee-8a2b-0050569a0c11",
    "Ладейкина Марина": "7a110002-1f6a-11ee-8a2b-0050569a0c11",
    "Коневский Глеб": "7a110003-1f6a-11ee-8a2b-0050569a0c11",
}

CONTACT_DATA, ADDITIONAL = "КонтактнаяИнформация", "ДополнительныеРеквизиты"
PHONE, EMAIL = "Телефон", "АдресЭлектроннойПочты"
KINDS = {
    PHONE: "9b220001-1f6a-11ee-8a2b-0050569a0c11",
    EMAIL: "9b220002-1f6a-11ee-8a2b-0050569a0c11",
    "Skype": "9b220003-1f6a-11ee-8a2b-0050569a0c11",
    "Адрес": "9b220004-1f6a-11ee-8a2b-0050569a0c11",
}

COMMUNICATION_ID, COMMUNICATION_TYPE = "CoMagicID", "CoMagicТип"
# The same two as additional attributes: Свойство_Key of the rows of ДополнительныеРеквизиты.
PROPERTIES = {
    COMMUNICATION_ID: "ad330001-1f6a-11ee-8a2b-0050569a0c11",
    COMMUNICATION_TYPE: "ad330002-1f6a-11ee-8a2b-0050569a0c11",
}
# When an Interest was written and when it came to its stage: attributes that a customer may have had made (§A7).
MODIFIED, STAGE_CHANGED = "ДатаИзменения", "ДатаИзмененияСостояния"


def guid_of(text: str) -> str:
    """As 1C prints it, in lower case; raises ValueError."""
    if len(text) != len(EMPTY_REF):
        raise ValueError(f"not a GUID: {text!r}")
    return str(uuid.UUID(text))
