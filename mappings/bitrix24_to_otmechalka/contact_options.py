"""What a flow of contacts can configure; the defaults are the brief's (facts/otmechalka §4, §5)."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from mappings.bitrix24_to_otmechalka.problems import Problem, ambiguous_codes, unknown_keys, unsendable_references
from mappings.bitrix24_to_otmechalka.references import BRANCHOFFICES, Reference


@dataclass(frozen=True)
class ContactFields:
    """Codes of the Bitrix24 contact fields; the names are those of `ContactSchema`."""

    last_name: str = field(default="UF_CRM_57AD7FAF7E6C4", metadata={"help": "pupil's family name"})
    first_name: str = field(default="UF_CRM_1608028374", metadata={"help": "pupil's given name"})
    phone: str = field(default="PHONE", metadata={"help": "parent's phone; the first one filled in is sent"})
    email: str = field(default="EMAIL", metadata={"help": "parent's e-mail; the first valid one is sent"})
    products: str = field(default="UF_CRM_58D15BB9CA8F4", metadata={"help": "list of products"})
    branches: str = field(default="UF_CRM_1470852549", metadata={"help": "list of branches"})
    birthdate: str = field(default="UF_CRM_1607943642", metadata={"help": "pupil's date of birth"})
    parent_last_name: str = field(default="LAST_NAME", metadata={"help": "parent's family name"})
    parent_first_name: str = field(default="NAME", metadata={"help": "parent's given name"})


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one choice in Bitrix24 means in otmechalka."""

    product: int = field(metadata={"help": "id of a product in the Bitrix24 list"})
    branch: int | None = field(
        default=None, metadata={"help": "id of a branch in the Bitrix24 list; left out: any branch or none"}
    )
    courses: tuple[str, ...] = field(metadata={"help": "keys of [courses] that the pupil attends"})
    branchoffice: str = field(metadata={"help": "key of [branchoffices] where the pupil attends them"})


COURSES = {
    "online_group": Reference("10985", "Он-лайн Групповое"),
    "online_individual": Reference("10986", "Он-лайн индивидуальные"),
    "group": Reference("", "Групповые занятия"),
    "individual": Reference("", "Индивидуальные занятия"),
}
OFFLINE_CHESS, ONLINE_SCHOOL = 404, 410  # products
GOGOLEVSKY, SKOLKOVO = 48, 12708  # branches
ONLINE = ("online_group", "online_individual")
OFFLINE = ("group", "individual")
RULES = (
    Rule(product=ONLINE_SCHOOL, courses=ONLINE, branchoffice="online"),
    Rule(product=OFFLINE_CHESS, branch=GOGOLEVSKY, courses=OFFLINE, branchoffice="gogolevsky"),
    Rule(product=OFFLINE_CHESS, branch=SKOLKOVO, courses=OFFLINE, branchoffice="skolkovo"),
)


@dataclass(frozen=True)
class ContactOptions:
    """The part of a flow's configuration that this mapping reads."""

    fields: ContactFields = field(
        default_factory=ContactFields, metadata={"help": "which Bitrix24 contact field holds what"}
    )
    courses: Mapping[str, Reference] = field(
        default_factory=COURSES.copy, metadata={"help": "courses of otmechalka, under the keys that rules use"}
    )
    branchoffices: Mapping[str, Reference] = field(
        default_factory=BRANCHOFFICES.copy,
        metadata={"help": "branch offices of otmechalka, under the keys that rules use"},
    )
    rules: tuple[Rule, ...] = field(
        default=RULES, metadata={"help": "product and branch to courses and branch office; all that match count"}
    )
    reference_mode: Literal["id", "name"] = field(
        default="id", metadata={"help": "how courses and branch offices are sent: by id or by name"}
    )
    allow_foreign_phones: bool = field(
        default=False, metadata={"help": "also take numbers of 11-15 digits as they are"}
    )
    require_parent_name: bool = field(
        default=True, metadata={"help": "refuse a contact without the parent's full name; otherwise omit it"}
    )
    send_nulls: bool = field(default=False, metadata={"help": "send empty optional fields as null instead of omitting"})
    gender: Literal["M", "F"] = field(
        default="M", metadata={"help": "sent for every pupil: Bitrix24 has no such field"}
    )

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of all Bitrix24 fields that are read."""
        return ("ID", *asdict(self.fields).values())

    def problems(self) -> Iterator[Problem]:
        """What types cannot express: (dotted path below the flow, what is wrong and what to do about it)."""
        if not self.rules:
            yield "rules", "is empty, so every contact would be skipped; leave it out to get the default rules"
        yield from ambiguous_codes(self.fields, taken={"ID": "the contact's own id"})
        for number, rule in enumerate(self.rules):
            path = f"rules.{number}"
            yield from unknown_keys(f"{path}.courses", rule.courses, known=self.courses)
            yield from unknown_keys(f"{path}.branchoffice", (rule.branchoffice,), known=self.branchoffices)
        used = {key for rule in self.rules for key in rule.courses}
        yield from self._unsendable("courses", self.courses, used=used)
        yield from self._unsendable(
            "branchoffices", self.branchoffices, used={rule.branchoffice for rule in self.rules}
        )

    def _unsendable(self, table: str, references: Mapping[str, Reference], *, used: set[str]) -> Iterator[Problem]:
        return unsendable_references(table, references, used=used, by="a rule", mode=self.reference_mode)
