"""Every kind of flow, one declaration each. `parom.toml` makes instances of them.

A new flow between known systems is a mapping, its golden cases and a declaration here.
"""

from mappings.bitrix24_to_otmechalka import Bitrix24ContactToOtmechalkaClient, ContactOptions
from tasks.flow import FlowKind

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

KINDS = {kind.name: kind for kind in (BITRIX24_CONTACTS_TO_OTMECHALKA_CLIENTS,)}
