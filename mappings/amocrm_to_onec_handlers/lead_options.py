"""What a flow of amoCRM leads to 1C's orders can configure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mappings.amocrm_to_onec_handlers.company_options import INN_FIELD, CompanyOptions
from mappings.amocrm_to_onec_handlers.contact_options import ContactOptions
from mappings.amocrm_to_onec_handlers.shown import ID_FIELD, OWN, ShownOptions, code_problems


@dataclass(frozen=True, kw_only=True)
class LeadOptions(ShownOptions):
    """The part of a flow's configuration that this mapping reads."""

    pipelines: tuple[int, ...] = field(default=(), metadata={"help": "ids of the pipelines that count; empty: all"})
    stages: tuple[int, ...] = field(
        default=(), metadata={"help": "ids of the stages that count, such as 142 for won; empty: all"}
    )
    contact_id_field: str = field(
        default=ID_FIELD, metadata={"help": "the field of contacts with their id in 1C; as in the connection"}
    )
    company_id_field: str = field(
        default=ID_FIELD, metadata={"help": "the field of companies with their id in 1C; as in the connection"}
    )
    reachable_only: bool = field(
        default=False,
        metadata={"help": "as in the flow of contacts: send a lead without the contact which that one skips"},
    )
    inn_field: str = field(metadata=INN_FIELD)
    inn_required: bool = field(
        default=True,
        metadata={"help": "refuse a lead whose company has no INN or UNP; otherwise send it without the company"},
    )

    @property
    def conditions(self) -> dict[str, tuple[str, ...]]:
        """Only leads in a pipeline and at a stage that count."""
        chosen = {"pipeline_id": self.pipelines, "status_id": self.stages}
        return {code: tuple(map(str, ids)) for code, ids in chosen.items() if ids}

    @property
    def keys(self) -> Mapping[str, str]:
        """Names in the mapping → keys of amoCRM's rows."""
        own = {name: name for name in ("price", *self.conditions, "main_contact", "company")}
        return {**OWN, **own, "id_1c": self.id_field}

    @property
    def codes(self) -> tuple[str, ...]:
        """Keys of amoCRM's rows that are read, those of the lead's contact and company too."""
        linked = (self.contact_id_field, self.company_id_field, self.inn_field)
        return tuple(dict.fromkeys((*self.keys.values(), *linked)))

    @property
    def of_contacts(self) -> ContactOptions:
        """For the lead's contact."""
        return ContactOptions(
            id_field=self.contact_id_field, custom_fields=self.custom_fields, reachable_only=self.reachable_only
        )

    @property
    def of_companies(self) -> CompanyOptions:
        """For the lead's company."""
        return CompanyOptions(
            id_field=self.company_id_field,
            custom_fields=self.custom_fields,
            inn_field=self.inn_field,
            inn_required=self.inn_required,
        )

    def problems(self) -> Iterator[tuple[str, str]]:
        """What types cannot express: (dotted path below the flow, what is wrong and what to do about it)."""
        yield from code_problems(self, "id_field")
        yield from code_problems(self, "contact_id_field")
        yield from code_problems(self, "company_id_field", "inn_field")
        yield from self.list_problems()
