"""1C:Enterprise with 1C:CRM: the base's standard OData interface (facts/onec.md parts A and B) and its people."""
