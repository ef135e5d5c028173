"""Bitrix24 → otmechalka (brief 003): a contact becomes a client, a deal that was won becomes a season ticket."""

from mappings.bitrix24_to_otmechalka.contact_options import COURSES, RULES, ContactFields, ContactOptions, Rule
from mappings.bitrix24_to_otmechalka.contacts import Bitrix24ContactToOtmechalkaClient
from mappings.bitrix24_to_otmechalka.deal_options import BRANCHES, DealFields, DealOptions
from mappings.bitrix24_to_otmechalka.deals import Bitrix24DealToOtmechalkaTicket
from mappings.bitrix24_to_otmechalka.references import BRANCHOFFICES, Reference

__all__ = [
    "BRANCHES",
    "BRANCHOFFICES",
    "COURSES",
    "RULES",
    "Bitrix24ContactToOtmechalkaClient",
    "Bitrix24DealToOtmechalkaTicket",
    "ContactFields",
    "ContactOptions",
    "DealFields",
    "DealOptions",
    "Reference",
    "Rule",
]
