"""The fields of this portal: those of briefs 002 and 003 among those of every portal (facts/bitrix24.md §6.1, §7.1)."""

from sandbox.bitrix24.fields import Field, of, read_only, schema

GUID_OF_USER = "UF_USR_1722587885970"

_UTM = of("string", "UTM_SOURCE", "UTM_MEDIUM", "UTM_CAMPAIGN", "UTM_CONTENT", "UTM_TERM")
_BOOKKEEPING = [
    *read_only("user", "CREATED_BY_ID", "MODIFY_BY_ID"),
    *read_only("datetime", "DATE_CREATE", "DATE_MODIFY"),
]
_LAST_ACTIVITY = [*read_only("datetime", "LAST_ACTIVITY_TIME"), *read_only("user", "LAST_ACTIVITY_BY")]
_COMMUNICATION = of("crm_multifield", "PHONE", "EMAIL", "WEB", "IM", "LINK")
_STATUS_TEXT = Field(code="UF_CRM_SYNC_STATUS", label="Статус синхронизации")
_BANKS = ((464, "Ամերիաբանկ"), (466, "Ինեկոբանկ"))

_CONTACT_OF_003 = [
    Field(code="UF_CRM_57AD7FAF7E6C4", label="Фамилия ученика"),
    Field(code="UF_CRM_1608028374", label="Имя ученика"),
    Field(
        code="UF_CRM_58D15BB9CA8F4",
        type="enumeration",
        is_multiple=True,
        label="Продукт",
        options=((404, "Обучение шахматам"), (410, "Онлайн школа"), (412, "Турниры")),
    ),
    Field(
        code="UF_CRM_1470852549",
        type="enumeration",
        is_multiple=True,
        label="Филиал",
        options=((48, "Гоголевский"), (12708, "Сколково"), (50, "Измайлово")),
    ),
    Field(code="UF_CRM_1607943642", type="date", label="Дата рождения ученика"),
]
_CONTACT_OF_002 = [
    Field(code="UF_CRM_1723100443089", label="GUID ID Contact"),
    Field(code="UF_CRM_1723100456115", label="CODE Contact"),
    Field(code="UF_CRM_1721896329420", label="Իրավաբանական հասցե"),
    Field(code="UF_CRM_1723108337023", label="Գործունեության հասցե"),
    Field(code="UF_CRM_664DBFBD43D75", is_multiple=True, label="Կայանի տեղադրման հասցե"),
    Field(code="UF_CRM_1707822379207", label="Անձնագիր"),
    Field(code="UF_CRM_1707822426950", type="datetime", label="Երբ է տրվել"),
    Field(code="UF_CRM_1707822448806", label="Ում կողմից"),
    Field(code="UF_CRM_1707822458574", label="ՀԾՀ"),
    Field(code="UF_CRM_1707822731302", type="enumeration", label="Բանկ", options=_BANKS),
    Field(code="UF_CRM_1707822585830", label="Հ/Հ"),
    Field(code="UF_CRM_1707822691457", type="file", is_multiple=True, label="Files"),
]
_COMPANY_OF_002 = [
    Field(code="UF_CRM_1723100288587", label="GUID ID Company"),
    Field(code="UF_CRM_1723100322669", label="CODE Company"),
    Field(code="UF_CRM_1721909503670", label="Աշխատանքային անվանում"),
    Field(code="UF_CRM_1721896430796", label="Իրավաբանական հասցե"),
    Field(code="UF_CRM_1721896453819", label="Գործունեության հասցե"),
    Field(code="UF_CRM_664DBFBD53217", is_multiple=True, label="Կայանի տեղադրման հասցե"),
    Field(code="UF_CRM_1707823114526", label="ՀՎՀՀ"),
    Field(code="UF_CRM_1707823136855", type="enumeration", label="Բանկ", options=((259, "Ամերիաբանկ"),)),
    Field(code="UF_CRM_1707823142254", label="Հ/Հ"),
    Field(code="UF_CRM_1707823223708", type="file", is_multiple=True, label="Files"),
]

CONTACT = schema(
    *read_only("integer", "ID"),
    Field(code="HONORIFIC", type="crm_status", status_type="HONORIFIC"),
    *of("string", "NAME", "SECOND_NAME", "LAST_NAME"),
    *of("file", "PHOTO"),
    *of("date", "BIRTHDATE"),
    Field(code="TYPE_ID", type="crm_status", status_type="CONTACT_TYPE"),
    Field(code="SOURCE_ID", type="crm_status", status_type="SOURCE"),
    *of("string", "SOURCE_DESCRIPTION", "POST", "ADDRESS", "ADDRESS_2", "ADDRESS_CITY", "COMMENTS"),
    *of("char", "OPENED", "EXPORT"),
    *read_only("char", "HAS_PHONE", "HAS_EMAIL", "HAS_IMOL"),
    *of("user", "ASSIGNED_BY_ID"),
    *_BOOKKEEPING,
    *of("crm_company", "COMPANY_ID"),
    Field(code="COMPANY_IDS", type="crm_company", is_multiple=True, is_write_only=True),
    *read_only("crm_lead", "LEAD_ID"),
    *of("string", "ORIGINATOR_ID", "ORIGIN_ID", "ORIGIN_VERSION"),
    *_UTM,
    *_LAST_ACTIVITY,
    *_COMMUNICATION,
    *_CONTACT_OF_003,
    *_CONTACT_OF_002,
    _STATUS_TEXT,
)

COMPANY = schema(
    *read_only("integer", "ID"),
    *of("string", "TITLE"),
    Field(code="COMPANY_TYPE", type="crm_status", status_type="COMPANY_TYPE"),
    *of("file", "LOGO"),
    Field(code="INDUSTRY", type="crm_status", status_type="INDUSTRY"),
    Field(code="EMPLOYEES", type="crm_status", status_type="EMPLOYEES"),
    *of("string", "CURRENCY_ID"),
    *of("double", "REVENUE"),
    *of("string", "BANKING_DETAILS", "ADDRESS", "ADDRESS_2", "ADDRESS_CITY", "REG_ADDRESS", "COMMENTS"),
    *of("char", "OPENED", "IS_MY_COMPANY"),
    *read_only("char", "HAS_PHONE", "HAS_EMAIL", "HAS_IMOL"),
    *of("user", "ASSIGNED_BY_ID"),
    *_BOOKKEEPING,
    Field(code="CONTACT_ID", type="crm_contact", is_multiple=True, is_write_only=True),
    *read_only("crm_lead", "LEAD_ID"),
    *of("string", "ORIGINATOR_ID", "ORIGIN_ID", "ORIGIN_VERSION"),
    *_UTM,
    *_LAST_ACTIVITY,
    *_COMMUNICATION,
    *_COMPANY_OF_002,
    _STATUS_TEXT,
)

DEAL = schema(
    *read_only("integer", "ID"),
    *of("string", "TITLE"),
    Field(code="TYPE_ID", type="crm_status", status_type="DEAL_TYPE"),
    Field(code="STAGE_ID", type="crm_status", status_type="DEAL_STAGE"),
    *of("integer", "PROBABILITY"),
    *of("string", "CURRENCY_ID"),
    *of("double", "OPPORTUNITY", "TAX_VALUE"),
    *of("char", "IS_MANUAL_OPPORTUNITY"),
    *of("crm_lead", "LEAD_ID"),
    *of("crm_company", "COMPANY_ID"),
    *of("crm_contact", "CONTACT_ID"),
    Field(code="CONTACT_IDS", type="crm_contact", is_multiple=True, is_write_only=True),
    *of("crm_quote", "QUOTE_ID"),
    *of("date", "BEGINDATE", "CLOSEDATE"),
    *of("user", "ASSIGNED_BY_ID"),
    *_BOOKKEEPING,
    *of("char", "OPENED", "CLOSED"),
    *of("string", "COMMENTS", "ADDITIONAL_INFO", "LOCATION_ID"),
    Field(code="CATEGORY_ID", type="crm_category", is_immutable=True),
    *read_only("string", "STAGE_SEMANTIC_ID"),
    *read_only("char", "IS_NEW"),
    *of("char", "IS_RECURRING", "IS_RETURN_CUSTOMER", "IS_REPEATED_APPROACH"),
    Field(code="SOURCE_ID", type="crm_status", status_type="SOURCE"),
    *of("string", "SOURCE_DESCRIPTION", "ORIGINATOR_ID", "ORIGIN_ID"),
    *read_only("user", "MOVED_BY_ID"),
    *read_only("datetime", "MOVED_TIME"),
    *_LAST_ACTIVITY,
    *_UTM,
    Field(code="UF_CRM_58D1057919A6F", type="date", label="Дата продажи"),
    Field(
        code="UF_CRM_1470852549",
        type="enumeration",
        is_multiple=True,
        label="Филиал",
        options=((186, "Гоголевский"), (12706, "Сколково"), (188, "Измайлово")),
    ),
    Field(
        code="UF_CRM_1490347942",
        type="enumeration",
        label="Способ оплаты",
        options=((450, "Наличные"), (452, "Карта"), (454, "Перевод")),
    ),
    _STATUS_TEXT,
)

USER = schema(
    *read_only("integer", "ID"),
    *of("boolean", "ACTIVE"),
    *of("string", "NAME", "LAST_NAME", "SECOND_NAME", "EMAIL", "WORK_POSITION", "USER_TYPE"),
    *read_only("datetime", "LAST_LOGIN", "DATE_REGISTER"),
    Field(code="UF_DEPARTMENT", type="integer", is_multiple=True),
    Field(code=GUID_OF_USER, label="GUID"),
)

STAGE_HISTORY = schema(
    *read_only("integer", "ID", "TYPE_ID", "OWNER_ID"),
    *read_only("datetime", "CREATED_TIME"),
    *read_only("crm_category", "CATEGORY_ID"),
    *read_only("string", "STAGE_SEMANTIC_ID", "STAGE_ID"),
)
