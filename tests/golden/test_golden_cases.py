"""Every `<folder>/<case>.in.json` maps to exactly what one of its neighbours says.

    case.in.json      {entity: {…the source's own shape…}, "options": {…what differs from the golden options…},
                       "today": "…" if it is another day than TODAY}
    case.out.json     {"payload": {…}, "warnings": […]}
    case.error.json   {code: [message, …], …, "told": "…"}
    case.skip.json    {"reason": "…"}

The folder's name says which mapping runs: one line in MAPPINGS. All people in these files are invented.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from marshmallow import ValidationError

from mappings import amocrm_to_onec_handlers as to_onec
from mappings import onec_handlers_to_amocrm as to_amocrm
from mappings.bitrix24_to_otmechalka import (
    BRANCHOFFICES,
    COURSES,
    Bitrix24ContactToOtmechalkaClient,
    Bitrix24DealToOtmechalkaTicket,
    ContactOptions,
    DealOptions,
    Reference,
    Rule,
)
from mappings.onec_to_comagic import ContactOptions as CardOptions
from mappings.onec_to_comagic import DealOptions as HistoryOptions
from mappings.onec_to_comagic import (
    OneCInterestToCoMagicContact,
    OneCInterestToCoMagicDeal,
    Stage,
)
from mappings.outcome import EntityMapping, Mapped, Skipped, told

TODAY = date(2020, 12, 24)
HERE = Path(__file__).parent
EXPECTATIONS = ("out", "error", "skip")

# The ids that the brief leaves open are invented.
KNOWN_COURSES = COURSES | {
    "group": Reference("10987", "Групповые занятия"),
    "individual": Reference("10988", "Индивидуальные занятия"),
}
KNOWN_BRANCHOFFICES = BRANCHOFFICES | {
    "gogolevsky": Reference("2634", "+ ЦДШ `МСК"),
    "skolkovo": Reference("2635", "+ СКОЛКОВО `МСК *"),
}
CONTACT_OPTIONS = ContactOptions(courses=KNOWN_COURSES, branchoffices=KNOWN_BRANCHOFFICES)
DEAL_OPTIONS = DealOptions(branchoffices=KNOWN_BRANCHOFFICES)
HISTORY_OPTIONS = HistoryOptions(
    funnel="123",
    stages={
        "5b2f6a1e-0c4d-11eb-80c1-00155d010101": Stage("NEW"),
        "5b2f6a1e-0c4d-11eb-80c1-00155d010102": Stage("STAGEyyyyyy"),
        "5b2f6a1e-0c4d-11eb-80c1-00155d010103": Stage("WON", closes=True),
        "Отказ": Stage("LOST", closes=True),
    },
)


def contact_mapping(overrides: dict[str, Any]) -> EntityMapping:
    options = dict(overrides)
    if "fields" in options:
        options["fields"] = replace(CONTACT_OPTIONS.fields, **options["fields"])
    if "rules" in options:
        options["rules"] = tuple(Rule(**rule | {"courses": tuple(rule["courses"])}) for rule in options["rules"])
    return Bitrix24ContactToOtmechalkaClient(replace(CONTACT_OPTIONS, **options))


def deal_mapping(overrides: dict[str, Any]) -> EntityMapping:
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in overrides.items()}
    if "fields" in options:
        options["fields"] = replace(DEAL_OPTIONS.fields, **options["fields"])
    options = replace(DEAL_OPTIONS, **options)
    assert not list(options.problems())
    return Bitrix24DealToOtmechalkaTicket(options)


def card_mapping(overrides: dict[str, Any]) -> EntityMapping:
    return OneCInterestToCoMagicContact(CardOptions(**overrides))


def history_mapping(overrides: dict[str, Any]) -> EntityMapping:
    options = dict(overrides)
    if "stages" in options:
        options["stages"] = {state: Stage(**stage) for state, stage in options["stages"].items()}
    options = replace(HISTORY_OPTIONS, **options)
    assert not list(options.problems())
    return OneCInterestToCoMagicDeal(options)


def pushed_contact_mapping(overrides: dict[str, Any]) -> EntityMapping:
    return to_amocrm.OneCClientToAmoCRMContact(checked(to_amocrm.ContactOptions(**overrides)))


def pushed_company_mapping(overrides: dict[str, Any]) -> EntityMapping:
    return to_amocrm.OneCClientToAmoCRMCompany(checked(to_amocrm.CompanyOptions(**overrides)))


def pushed_order_mapping(overrides: dict[str, Any]) -> EntityMapping:
    return to_amocrm.OneCOrderToAmoCRMLead(checked(to_amocrm.LeadOptions(**overrides)))


def pushed_event_mapping(overrides: dict[str, Any]) -> EntityMapping:
    options = dict(overrides)
    if "effects" in options:
        options["effects"] = {event: effect(**given) for event, given in options["effects"].items()}
    return to_amocrm.OneCEventToAmoCRMEvent(checked(to_amocrm.EventOptions(**options)))


def effect(**given: Any) -> to_amocrm.Effect:
    stage, task = given.get("stage"), given.get("task")
    made = {"stage": stage and to_amocrm.Stage(**stage), "task": task and to_amocrm.Task(**task)}
    return to_amocrm.Effect(**given | made)


def shown_contact_mapping(overrides: dict[str, Any]) -> EntityMapping:
    return to_onec.AmoCRMContactToOneCClient(checked(to_onec.ContactOptions(**frozen(overrides))))


def shown_company_mapping(overrides: dict[str, Any]) -> EntityMapping:
    options = {"inn_field": "INN", **frozen(overrides)}
    return to_onec.AmoCRMCompanyToOneCClient(checked(to_onec.CompanyOptions(**options)))


def shown_lead_mapping(overrides: dict[str, Any]) -> EntityMapping:
    options = {"inn_field": "INN", **frozen(overrides)}
    return to_onec.AmoCRMLeadToOneCOrder(checked(to_onec.LeadOptions(**options)))


def checked(options: Any) -> Any:
    assert not list(options.problems())
    return options


def frozen(overrides: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in overrides.items()}


MAPPINGS: Mapping[str, tuple[str, Callable[[dict[str, Any]], EntityMapping]]] = {
    "bitrix24_contact_to_otmechalka_client": ("contact", contact_mapping),
    "bitrix24_deal_to_otmechalka_ticket": ("deal", deal_mapping),
    "onec_interest_to_comagic_contact": ("interest", card_mapping),
    "onec_interest_to_comagic_deal": ("interest", history_mapping),
    "onec_client_to_amocrm_contact": ("client", pushed_contact_mapping),
    "onec_client_to_amocrm_company": ("client", pushed_company_mapping),
    "onec_order_to_amocrm_lead": ("order", pushed_order_mapping),
    "onec_event_to_amocrm_event": ("event", pushed_event_mapping),
    "amocrm_contact_to_onec_client": ("contact", shown_contact_mapping),
    "amocrm_company_to_onec_client": ("company", shown_company_mapping),
    "amocrm_lead_to_onec_order": ("lead", shown_lead_mapping),
}
FOLDERS = sorted(path.name for path in HERE.iterdir() if path.is_dir() and not path.name.startswith("__"))
CASES = [
    pytest.param(folder, path.name.removesuffix(".in.json"), id=f"{folder}/{path.name.removesuffix('.in.json')}")
    for folder in FOLDERS
    for path in sorted((HERE / folder).glob("*.in.json"))
]


@pytest.mark.parametrize(("folder", "case"), CASES)
def test_a_record_maps_to_what_its_case_says(folder, case):
    entity, build = MAPPINGS[folder]
    given = json.loads((HERE / folder / f"{case}.in.json").read_text("utf-8"))
    mapping = build(given.get("options", {}))
    today = date.fromisoformat(given.get("today", TODAY.isoformat()))
    assert outcome_of(mapping, given[entity], today=today) == expectation_of(HERE / folder, case)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_has_a_mapping_and_no_stray_files(folder):
    assert folder in MAPPINGS
    names = {path.name for path in (HERE / folder).iterdir()}
    cases = {name.removesuffix(".in.json") for name in names if name.endswith(".in.json")}
    allowed = {f"{case}.{kind}.json" for case in cases for kind in ("in", *EXPECTATIONS)}
    assert names - allowed == set()


def expectation_of(folder: Path, case: str) -> tuple[str, Any]:
    found = [path for kind in EXPECTATIONS if (path := folder / f"{case}.{kind}.json").exists()]
    assert len(found) == 1, f"{case} must have exactly one of {EXPECTATIONS}, has {len(found)}"
    return found[0].name.split(".")[-2], json.loads(found[0].read_text("utf-8"))


def outcome_of(mapping: EntityMapping, raw: dict[str, Any], *, today: date) -> tuple[str, Any]:
    try:
        outcome = mapping.map(raw, today=today)
    except ValidationError as error:
        return "error", error.messages_dict | {"told": told(error)}
    match outcome:
        case Mapped(payload, warnings):
            return "out", {"payload": payload, "warnings": list(warnings)}
        case Skipped(reason):
            return "skip", {"reason": reason}
