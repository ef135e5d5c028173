"""Every kind of flow, one declaration each. `parom.toml` makes instances of them.

A new flow between known systems is a mapping, its golden cases and a declaration here.
"""

from datetime import timedelta

from connectors.base import FieldNeed
from mappings import amocrm_to_onec_handlers, bitrix24_to_otmechalka, onec_handlers_to_amocrm, onec_to_comagic
from mappings.onec_public.fields import BY_AMO_ID
from tasks.flow import FlowKind, Parent, Stream, Twin

AMOCRM_TEXTS = ("text", "textarea")


def _place_of_leads(pipeline: int | None, status: int | None) -> tuple[FieldNeed, ...]:
    """The pipeline, or the stage in it, that amoCRM must have."""
    if not pipeline:
        return ()
    if not status:
        return (FieldNeed(str(pipeline), "Воронка", ("pipeline",)),)
    return (FieldNeed(f"{pipeline}/{status}", "Этап воронки", ("status",)),)


BITRIX24_CONTACTS_TO_OTMECHALKA_CLIENTS = FlowKind(
    name="bitrix24-contacts-to-otmechalka-clients",
    instance="students",
    summary="pupils: every Bitrix24 contact with a supported product and branch is a client in otmechalka",
    source_system="bitrix24",
    source_entity="contacts",
    target_system="otmechalka",
    target_entity="clients",
    key="origin_id",
    options=bitrix24_to_otmechalka.ContactOptions,
    mapping=bitrix24_to_otmechalka.Bitrix24ContactToOtmechalkaClient,
    status_types=("string",),
)

BITRIX24_DEALS_TO_OTMECHALKA_TICKETS = FlowKind(
    name="bitrix24-deals-to-otmechalka-tickets",
    instance="tickets",
    summary="season tickets: every won Bitrix24 deal with one of them is a ticket in otmechalka, sold once and for all",
    source_system="bitrix24",
    source_entity="deals",
    target_system="otmechalka",
    target_entity="tickets",
    key="origin_id",
    options=bitrix24_to_otmechalka.DealOptions,
    mapping=bitrix24_to_otmechalka.Bitrix24DealToOtmechalkaTicket,
    status_types=("string",),
    parents=(Parent(BITRIX24_CONTACTS_TO_OTMECHALKA_CLIENTS.name, field="client_origin_id", label="контакт"),),
)

ONEC_INTERESTS_TO_COMAGIC_CONTACTS = FlowKind(
    name="onec-interests-to-comagic-contacts",
    instance="people",
    summary="contact cards: every 1C Interest with a phone or an e-mail is a contact in CoMagic / UIS",
    source_system="onec",
    source_entity="interests",
    target_system="comagic",
    target_entity="contacts",
    key="ext_id",
    options=onec_to_comagic.ContactOptions,
    mapping=onec_to_comagic.OneCInterestToCoMagicContact,
    is_pushed=True,
)

ONEC_INTERESTS_TO_COMAGIC_DEALS = FlowKind(
    name="onec-interests-to-comagic-deals",
    instance="interests",
    summary="deals: every stage of a 1C Interest is a row in the history of its deal in CoMagic / UIS, in their order",
    source_system="onec",
    source_entity="interests",
    target_system="comagic",
    target_entity="deals",
    key="ext_id",
    options=onec_to_comagic.DealOptions,
    mapping=onec_to_comagic.OneCInterestToCoMagicDeal,
    parents=(Parent(ONEC_INTERESTS_TO_COMAGIC_CONTACTS.name, field="main_contact_ext_id", label="контакт"),),
    stream=Stream(at="stage_changed_at", mark="stage", begins="created_at"),
    is_pushed=True,
    demands=lambda options: (
        *(FieldNeed(stage.id, "Этап воронки", (f"stage of {options.funnel}",)) for stage in options.stages.values()),
        FieldNeed(options.communication_field, "ID обращения", ("user_field",)),
    ),
)

ONEC_CLIENTS_TO_AMOCRM_CONTACTS = FlowKind(
    name="onec-clients-to-amocrm-contacts",
    instance="individuals",
    summary="people: every individual counterparty that 1C sends is a contact in amoCRM",
    source_system="onec_handlers",
    source_entity="clients_contacts",
    target_system="amocrm",
    target_entity="contacts",
    key="id_1c",
    options=onec_handlers_to_amocrm.ContactOptions,
    mapping=onec_handlers_to_amocrm.OneCClientToAmoCRMContact,
    twin=Twin("amocrm-contacts-to-onec-clients", leads=True, field="amo_id"),
)

ONEC_CLIENTS_TO_AMOCRM_COMPANIES = FlowKind(
    name="onec-clients-to-amocrm-companies",
    instance="legals",
    summary="companies: every legal counterparty that 1C sends is a company in amoCRM",
    source_system="onec_handlers",
    source_entity="clients_companies",
    target_system="amocrm",
    target_entity="companies",
    key="id_1c",
    options=onec_handlers_to_amocrm.CompanyOptions,
    mapping=onec_handlers_to_amocrm.OneCClientToAmoCRMCompany,
    twin=Twin("amocrm-companies-to-onec-clients", leads=True, field="amo_id"),
)

ONEC_ORDERS_TO_AMOCRM_LEADS = FlowKind(
    name="onec-orders-to-amocrm-leads",
    instance="orders",
    summary="orders: every order that 1C sends is a lead in amoCRM",
    source_system="onec_handlers",
    source_entity="leads",
    target_system="amocrm",
    target_entity="leads",
    key="id_1c",
    options=onec_handlers_to_amocrm.LeadOptions,
    mapping=onec_handlers_to_amocrm.OneCOrderToAmoCRMLead,
    twin=Twin("amocrm-leads-to-onec-orders", leads=True, field="amo_id"),
    demands=lambda options: _place_of_leads(options.pipeline_id, options.status_id),
)

ONEC_EVENTS_TO_AMOCRM = FlowKind(
    name="onec-events-to-amocrm",
    instance="events",
    summary="events: payments, shipments and cancellations in 1C are notes, stages and tasks of their leads in amoCRM",
    source_system="onec_handlers",
    source_entity="events",
    target_system="amocrm",
    target_entity="events",
    key="key",
    options=onec_handlers_to_amocrm.EventOptions,
    mapping=onec_handlers_to_amocrm.OneCEventToAmoCRMEvent,
    parents=(Parent(ONEC_ORDERS_TO_AMOCRM_LEADS.name, field="order_id_1c", label="заказ", link="lead_id"),),
    stream=Stream(at="received_at", mark="key", begins="received_at", supersedes=False, same_within=timedelta(days=1)),
    demands=lambda options: (
        *(need for stage in options.stages for need in _place_of_leads(stage.pipeline_id, stage.status_id)),
        *(FieldNeed(code, "Поле сделки", ()) for code in options.lead_fields),
    ),
)

AMOCRM_CONTACTS_TO_ONEC_CLIENTS = FlowKind(
    name="amocrm-contacts-to-onec-clients",
    instance="contacts",
    summary="people: every contact in amoCRM is an individual counterparty in 1C",
    source_system="amocrm",
    source_entity="contacts",
    target_system="onec_handlers",
    target_entity="contacts",
    key="id",
    options=amocrm_to_onec_handlers.ContactOptions,
    mapping=amocrm_to_onec_handlers.AmoCRMContactToOneCClient,
    status_types=AMOCRM_TEXTS,
    twin=Twin(
        ONEC_CLIENTS_TO_AMOCRM_CONTACTS.name, leads=False, field="id_1c", nameless=BY_AMO_ID, spared=("phone", "email")
    ),
    shared=(("id_field", "id_field"),),
)

AMOCRM_COMPANIES_TO_ONEC_CLIENTS = FlowKind(
    name="amocrm-companies-to-onec-clients",
    instance="companies",
    summary="companies: every company in amoCRM is a legal counterparty in 1C",
    source_system="amocrm",
    source_entity="companies",
    target_system="onec_handlers",
    target_entity="companies",
    key="id",
    options=amocrm_to_onec_handlers.CompanyOptions,
    mapping=amocrm_to_onec_handlers.AmoCRMCompanyToOneCClient,
    status_types=AMOCRM_TEXTS,
    twin=Twin(ONEC_CLIENTS_TO_AMOCRM_COMPANIES.name, leads=False, field="id_1c", nameless=BY_AMO_ID),
    shared=(("id_field", "id_field"), ("inn_field", "inn_field")),
)

AMOCRM_LEADS_TO_ONEC_ORDERS = FlowKind(
    name="amocrm-leads-to-onec-orders",
    instance="leads",
    summary="orders: every lead in amoCRM is an order in 1C, after its contact and its company",
    source_system="amocrm",
    source_entity="leads",
    target_system="onec_handlers",
    target_entity="orders",
    key="id",
    options=amocrm_to_onec_handlers.LeadOptions,
    mapping=amocrm_to_onec_handlers.AmoCRMLeadToOneCOrder,
    status_types=AMOCRM_TEXTS,
    parents=(
        Parent(AMOCRM_CONTACTS_TO_ONEC_CLIENTS.name, field="contact.id", label="контакт", link="contact.id_1c"),
        Parent(AMOCRM_COMPANIES_TO_ONEC_CLIENTS.name, field="company.id", label="компания", link="company.id_1c"),
    ),
    twin=Twin(ONEC_ORDERS_TO_AMOCRM_LEADS.name, leads=False, field="id_1c", nameless=BY_AMO_ID, spared=("price",)),
    shared=(
        *((option, "id_field") for option in ("id_field", "contact_id_field", "company_id_field")),
        ("inn_field", "inn_field"),
    ),
)

KINDS = {
    kind.name: kind
    for kind in (
        BITRIX24_CONTACTS_TO_OTMECHALKA_CLIENTS,
        BITRIX24_DEALS_TO_OTMECHALKA_TICKETS,
        ONEC_INTERESTS_TO_COMAGIC_CONTACTS,
        ONEC_INTERESTS_TO_COMAGIC_DEALS,
        ONEC_CLIENTS_TO_AMOCRM_CONTACTS,
        ONEC_CLIENTS_TO_AMOCRM_COMPANIES,
        ONEC_ORDERS_TO_AMOCRM_LEADS,
        ONEC_EVENTS_TO_AMOCRM,
        AMOCRM_CONTACTS_TO_ONEC_CLIENTS,
        AMOCRM_COMPANIES_TO_ONEC_CLIENTS,
        AMOCRM_LEADS_TO_ONEC_ORDERS,
    )
}
