"""1C → CoMagic (brief 000): an Interest becomes a contact card, and a row of the deal's history at every stage."""

from mappings.onec_to_comagic.contact_options import ContactOptions
from mappings.onec_to_comagic.contacts import OneCInterestToCoMagicContact
from mappings.onec_to_comagic.deal_options import DealOptions, Stage
from mappings.onec_to_comagic.deals import OneCInterestToCoMagicDeal

__all__ = [
    "ContactOptions",
    "DealOptions",
    "OneCInterestToCoMagicContact",
    "OneCInterestToCoMagicDeal",
    "Stage",
]
