"""States of a base with handlers, and everything that briefs/001 and facts/onec.md parts C and D leave open."""

from dataclasses import dataclass

from sandbox.switches import choice


@dataclass(frozen=True, slots=True)
class Switches:
    # Access, and who the base is: both must be named in every request.
    login: str = "Обмен"
    password: str = "пароль-обработчиков"  # noqa: S105 - the sandbox's own, known to everybody
    key: int = 31_000_001  # the account of sandbox.amocrm
    id_base: str = "trade-1"
    url_address: str = "https://onec.example/trade"
    version: str = "1.4.2"

    # States (§A5).
    latency_s: float = 0.0
    locked: bool = False
    locked_text: str = "Идёт обновление конфигурации. Повторите позже."
    locked_status: int = choice(403, 500, 503)
    no_licence: bool = False
    licence_text: str = "Не обнаружено свободной лицензии!"
    licence_status: int = choice(500, 503, 403, 406)

    # What a handler refuses with, while it is not empty: an exception (500), or a polite error (200). Nothing is kept.
    exception: str = ""
    exception_shape: str = choice("html", "json")
    error: str = ""
    error_shape: str = choice("error", "success", "Ошибка")

    # Bodies of answers (§C).
    bom: bool = True
    content_type: str = choice("application/json; charset=utf-8", "text/plain; charset=utf-8", "text/html")
    link_shape: str = choice("e1cib", "https")

    # What becomes of a request (§D1, §D3).
    repeats: str = choice("same", "double")
    inn_taken: str = choice("found", "refused", "double")
    unknown_id_1c: str = choice("ignored", "refused")
    unknown_lead: str = choice("empty", "refused")

    # The exchange that calls us (§D2): what it tells of, and how its bodies look.
    echo_own_writes: bool = True
    orders_without_ids: bool = False
    retry_body: str = choice("same", "rebuilt")
    unknown_values: str = choice("null", "blank", "absent")
    amounts: str = choice("number", "text", "russian")
    ids_as_text: bool = False
    event_ids: bool = False
    request_bom: bool = False
    request_content_type: str = "application/json; charset=utf-8"
