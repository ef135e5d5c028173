"""States of a base, what its administrator chooses, and everything facts/onec.md marks as unverified."""

from dataclasses import dataclass

from sandbox.switches import choice


@dataclass(frozen=True, slots=True)
class Switches:
    # Access (§A6). Zero licences are as many as anybody wants.
    login: str = "Обмен"
    password: str = "пароль-песочницы"  # noqa: S105 - the sandbox's own, known to everybody
    licences: int = 0
    licence_text: str = "Не обнаружено свободной лицензии!"
    session_idle_s: float = 20.0
    latency_s: float = 0.0
    web_server: str = choice("apache", "iis")

    # The base and its configuration (§A7, §B).
    time_zone: str = "Europe/Moscow"
    partner_set: str = choice("Catalog_Партнеры", "Catalog_Контрагенты")
    communication: str = choice("attributes", "additional", "absent")
    change_dates: bool = False
    contact_key: str = choice("Ref_Key", "ObjectId")

    # States and rights (§A5).
    locked: bool = False
    locked_text: str = "Идёт обновление конфигурации. Повторите позже."
    unpublished: tuple[str, ...] = ()
    no_rights: tuple[str, ...] = ()
    hidden_rows: tuple[str, ...] = ()
    write_refusal: str = ""

    # Unverified: statuses and shapes of errors (§A5, §A6).
    locked_status: int = choice(403, 500, 503)
    licence_status: int = choice(500, 503, 403, 406)
    no_rights_status: int = choice(401, 403)
    stale_session_status: int = choice(404, 400, 500)
    session_reuse: str = choice("on", "off", "refused")
    html_errors: bool = False
    error_format: str = choice("as_asked", "json", "xml")
    bom: bool = True

    # Unverified: reading (§A2).
    unknown_filter_field: str = choice("empty", "error")
    unknown_select_field: str = choice("error", "ignored")
    unknown_orderby_field: str = choice("error", "ignored")
    unordered_rows: str = choice("turning", "stable")
    ref_order: str = choice("binary", "presentation")
    count_path: bool = True

    # Unverified: writing (§A4).
    patch: str = choice("on", "405")
    if_match: str = choice("ignore", "enforce")
    unknown_property: str = choice("ignored", "error")
