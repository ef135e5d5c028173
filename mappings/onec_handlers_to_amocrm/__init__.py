"""1C's handlers → amoCRM (brief 001 §2): counterparties become contacts and companies, orders leads, events notes."""

from mappings.onec_handlers_to_amocrm.companies import OneCClientToAmoCRMCompany
from mappings.onec_handlers_to_amocrm.company_options import CompanyOptions
from mappings.onec_handlers_to_amocrm.contact_options import ContactOptions
from mappings.onec_handlers_to_amocrm.contacts import OneCClientToAmoCRMContact
from mappings.onec_handlers_to_amocrm.event_options import EVENTS, Effect, EventOptions, Stage, Task
from mappings.onec_handlers_to_amocrm.events import OneCEventToAmoCRMEvent
from mappings.onec_handlers_to_amocrm.lead_options import LeadOptions
from mappings.onec_handlers_to_amocrm.leads import OneCOrderToAmoCRMLead

__all__ = [
    "EVENTS",
    "CompanyOptions",
    "ContactOptions",
    "Effect",
    "EventOptions",
    "LeadOptions",
    "OneCClientToAmoCRMCompany",
    "OneCClientToAmoCRMContact",
    "OneCEventToAmoCRMEvent",
    "OneCOrderToAmoCRMLead",
    "Stage",
    "Task",
]
