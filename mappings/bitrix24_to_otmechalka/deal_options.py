"""What a flow of deals can configure; the defaults are the brief's (facts/otmechalka §7)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from mappings.bitrix24_to_otmechalka.problems import Problem, ambiguous_codes, unknown_keys, unsendable_references
from mappings.bitrix24_to_otmechalka.references import BRANCHOFFICES, Reference

# What a deal carries under a name that is no option; the last two are put there by the connector.
OWN = {
    "ID": "the deal's own id",
    "CONTACT_ID": "the deal's contact",
    "PRODUCT_ROWS": "the deal's product rows",
    "ASSIGNED_BY": "the deal's seller",
}
GOGOLEVSKY, SKOLKOVO = "186", "12706"  # other ids than those of the same branches of a contact
BRANCHES = {GOGOLEVSKY: "gogolevsky", SKOLKOVO: "skolkovo"}
CASH = 450
_OPTION_ID = re.compile(r"0|[1-9][0-9]{0,17}")


@dataclass(frozen=True)
class DealFields:
    """Codes of the Bitrix24 deal fields; the names are those of `DealSchema`."""

    sale_date: str = field(default="UF_CRM_58D1057919A6F", metadata={"help": "date of sale"})
    branch: str = field(default="UF_CRM_1470852549", metadata={"help": "branch where it was sold; one must be chosen"})
    payment: str = field(default="UF_CRM_1490347942", metadata={"help": "way of payment"})


@dataclass(frozen=True)
class DealOptions:
    """The part of a flow's configuration that this mapping reads."""

    fields: DealFields = field(default_factory=DealFields, metadata={"help": "which Bitrix24 deal field holds what"})
    pipelines: tuple[int, ...] = field(default=(), metadata={"help": "ids of the pipelines that count; empty: all"})
    won_stages: tuple[str, ...] = field(
        default=(), metadata={"help": 'stages that count, such as "WON" or "C1:WON"; empty: every successful one'}
    )
    ticket_names: tuple[str, ...] = field(
        default=(), metadata={"help": "products that are season tickets, by name; other deals are skipped"}
    )
    ticket_pattern: str = field(
        default="",
        metadata={"help": "or by a regular expression found in the name; without names and pattern: every product"},
    )
    price_initial_field: Literal["PRICE_BRUTTO", "PRICE_NETTO"] = field(
        default="PRICE_BRUTTO",
        metadata={"help": "the price before discount, with tax or without; the latter adds up only if there is none"},
    )
    refuse_quantity: bool = field(
        default=False, metadata={"help": "refuse any quantity but 1; otherwise prices are multiplied by it"}
    )
    branches: Mapping[str, str] = field(
        default_factory=BRANCHES.copy,
        metadata={"help": "id of a branch in the Bitrix24 list to a key of [branchoffices]; other deals are skipped"},
    )
    branchoffices: Mapping[str, Reference] = field(
        default_factory=BRANCHOFFICES.copy,
        metadata={"help": "branch offices of otmechalka, under the keys that branches use"},
    )
    reference_mode: Literal["id", "name"] = field(
        default="id", metadata={"help": "how branch offices are sent: by id or by name"}
    )
    cash_payments: tuple[int, ...] = field(
        default=(CASH,), metadata={"help": "ways of payment that are cash; any other is cashless"}
    )
    require_payment_method: bool = field(
        default=False, metadata={"help": "refuse a deal without a way of payment; otherwise it counts as cashless"}
    )

    @property
    def conditions(self) -> dict[str, tuple[str, ...]]:
        """Only deals that were won, no templates of recurring ones, and only of the pipelines that count."""
        won = {"STAGE_ID": self.won_stages} if self.won_stages else {"STAGE_SEMANTIC_ID": ("S",)}
        pipelines = {"CATEGORY_ID": tuple(map(str, self.pipelines))} if self.pipelines else {}
        return {**won, "IS_RECURRING": ("N",), **pipelines}

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of all Bitrix24 fields that are read or filtered by."""
        return (*OWN, *asdict(self.fields).values(), *self.conditions)

    def problems(self) -> Iterator[Problem]:
        """What types cannot express: (dotted path below the flow, what is wrong and what to do about it)."""
        taken = OWN | dict.fromkeys(self.conditions, "what deals are selected by")
        yield from ambiguous_codes(self.fields, taken=taken)
        for option in ("won_stages", "ticket_names"):
            if not all(map(str.strip, getattr(self, option))):
                yield option, "holds an empty text, which nothing equals; take it out"
        yield from self._pattern_problems()
        yield from self._branch_problems()

    def _pattern_problems(self) -> Iterator[Problem]:
        try:
            re.compile(self.ticket_pattern)
        except (re.error, OverflowError, RecursionError) as error:
            yield "ticket_pattern", f"is not a regular expression: {error}"

    def _branch_problems(self) -> Iterator[Problem]:
        if not self.branches:
            yield "branches", "is empty, so every deal would be skipped; leave it out to get the default ones"
        for branch, key in self.branches.items():
            if not _OPTION_ID.fullmatch(branch):
                yield f"branches.{branch}", "is not the id of a branch in the Bitrix24 list; write digits only"
            yield from unknown_keys(f"branches.{branch}", (key,), known=self.branchoffices)
        used, mode = set(self.branches.values()), self.reference_mode
        yield from unsendable_references("branchoffices", self.branchoffices, used=used, by="a branch", mode=mode)
