"""amoCRM → 1C's handlers (brief 001 §1): contacts and companies become counterparties, leads orders."""

from mappings.amocrm_to_onec_handlers.companies import AmoCRMCompanyToOneCClient
from mappings.amocrm_to_onec_handlers.company_options import CompanyOptions
from mappings.amocrm_to_onec_handlers.contact_options import ContactOptions
from mappings.amocrm_to_onec_handlers.contacts import AmoCRMContactToOneCClient
from mappings.amocrm_to_onec_handlers.lead_options import LeadOptions
from mappings.amocrm_to_onec_handlers.leads import AmoCRMLeadToOneCOrder

__all__ = [
    "AmoCRMCompanyToOneCClient",
    "AmoCRMContactToOneCClient",
    "AmoCRMLeadToOneCOrder",
    "CompanyOptions",
    "ContactOptions",
    "LeadOptions",
]
