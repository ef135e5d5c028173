"""What a flow of amoCRM companies to 1C's legal entities can configure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mappings.amocrm_to_onec_handlers.shown import OWN, ShownOptions, code_problems

INN_FIELD = {
    "help": "field of amoCRM's companies, by code or id, with the INN or UNP; a number field loses leading zeros; "
    "as in the connection, if that names one"
}


@dataclass(frozen=True, kw_only=True)
class CompanyOptions(ShownOptions):
    """The part of a flow's configuration that this mapping reads."""

    inn_field: str = field(metadata=INN_FIELD)
    inn_required: bool = field(
        default=True,
        metadata={"help": "refuse a company without INN or UNP, which the manager is told; otherwise skip"},
    )

    @property
    def keys(self) -> Mapping[str, str]:
        """Names in the mapping → keys of amoCRM's rows."""
        return {**OWN, "inn": self.inn_field, "id_1c": self.id_field}

    @property
    def codes(self) -> tuple[str, ...]:
        """Keys of amoCRM's rows that are read."""
        return tuple(self.keys.values())

    def problems(self) -> Iterator[tuple[str, str]]:
        """What types cannot express: (dotted path below the flow, what is wrong and what to do about it)."""
        yield from code_problems(self, "id_field", "inn_field")
        yield from self.list_problems()
