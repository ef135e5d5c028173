"""Every kind of flow, one declaration each. `parom.toml` makes instances of them.

A new flow between known systems is a mapping, its golden cases and a declaration here.
"""

from connectors.base import FieldNeed
from mappings import bitrix24_to_otmechalka, onec_to_comagic
from tasks.flow import FlowKind, Parent, Stream

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
    parent=Parent(BITRIX24_CONTACTS_TO_OTMECHALKA_CLIENTS.name, field="client_origin_id", label="контакт"),
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
    parent=Parent(ONEC_INTERESTS_TO_COMAGIC_CONTACTS.name, field="main_contact_ext_id", label="контакт"),
    stream=Stream(at="stage_changed_at", mark="stage", begins="created_at"),
    is_pushed=True,
    demands=lambda options: (
        *(FieldNeed(stage.id, "Этап воронки", (f"stage of {options.funnel}",)) for stage in options.stages.values()),
        FieldNeed(options.communication_field, "ID обращения", ("user_field",)),
    ),
)

KINDS = {
    kind.name: kind
    for kind in (
        BITRIX24_CONTACTS_TO_OTMECHALKA_CLIENTS,
        BITRIX24_DEALS_TO_OTMECHALKA_TICKETS,
        ONEC_INTERESTS_TO_COMAGIC_CONTACTS,
        ONEC_INTERESTS_TO_COMAGIC_DEALS,
    )
}
