"""Every kind of flow, one declaration each. `parom.toml` makes instances of them.

A new flow between known systems is a mapping, its golden cases and a declaration here.
"""

from mappings.bitrix24_to_otmechalka import (
    Bitrix24ContactToOtmechalkaClient,
    Bitrix24DealToOtmechalkaTicket,
    ContactOptions,
    DealOptions,
)
from tasks.flow import FlowKind, Parent

BITRIX24_CONTACTS_TO_OTMECHALKA_CLIENTS = FlowKind(
    name="bitrix24-contacts-to-otmechalka-clients",
    instance="students",
    summary="pupils: every Bitrix24 contact with a supported product and branch is a client in otmechalka",
    source_system="bitrix24",
    source_entity="contacts",
    target_system="otmechalka",
    target_entity="clients",
    key="origin_id",
    options=ContactOptions,
    mapping=Bitrix24ContactToOtmechalkaClient,
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
    options=DealOptions,
    mapping=Bitrix24DealToOtmechalkaTicket,
    status_types=("string",),
    parent=Parent(BITRIX24_CONTACTS_TO_OTMECHALKA_CLIENTS.name, field="client_origin_id", label="контакт"),
)

KINDS = {kind.name: kind for kind in (BITRIX24_CONTACTS_TO_OTMECHALKA_CLIENTS, BITRIX24_DEALS_TO_OTMECHALKA_TICKETS)}
