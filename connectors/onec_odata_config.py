"""How a 1C base is configured: its address and user, its time zone, and every metadata name that bases differ in."""

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import time, timedelta
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from connectors.base import Secret

BASE_URL = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+(/[^?#\s]*)?")
NAME = re.compile(r"\w{0,200}")
TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
OVERLAP = 10
"""Rows of a page that the next one shows again, so that what was deleted meanwhile makes it skip none."""


@dataclass(frozen=True)
class InterestNames:
    """What the Interest and its attributes are called in the base."""

    set: str = field(default="Document_CRM_Интерес", metadata={"help": "the published set of Interests"})
    name: str = field(default="Тема", metadata={"help": "what the Interest is about"})
    date: str = field(default="Date", metadata={"help": "when it was created, in the base's time"})
    stage: str = field(default="СостояниеИнтереса_Key", metadata={"help": "its stage"})
    stage_changed_at: str = field(default="", metadata={"help": "when it came to its stage"})
    modified_at: str = field(default="", metadata={"help": "when it was changed last"})
    revenue: str = field(default="ОжидаемаяВыручка", metadata={"help": "the expected revenue"})
    comment: str = field(default="Описание", metadata={"help": "the description"})
    communication_id: str = field(default="CoMagicID", metadata={"help": "CoMagic's number of the call or request"})
    communication_type: str = field(default="CoMagicТип", metadata={"help": "call, offline_message, chat…"})
    contact_person: str = field(default="КонтактноеЛицо_Key", metadata={"help": "whose phones and e-mails come first"})
    potential_client: str = field(default="ПотенциальныйКлиент_Key", metadata={"help": "whose come second"})
    partner: str = field(default="Партнер_Key", metadata={"help": "whose come third"})


@dataclass(frozen=True)
class ContactNames:
    """Where phones and e-mails stand: the published sets of tabular parts, and the attributes of their rows."""

    contact_person_set: str = field(
        default="Catalog_КонтактныеЛицаПартнеров_КонтактнаяИнформация",
        metadata={"help": "contact information of contact persons"},
    )
    potential_client_set: str = field(
        default="Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация", metadata={"help": "of potential clients"}
    )
    partner_set: str = field(
        default="Catalog_Контрагенты_КонтактнаяИнформация",
        metadata={"help": "of partners; in Trade Management and ERP Catalog_Партнеры_КонтактнаяИнформация"},
    )
    owner: str = field(default="Ref_Key", metadata={"help": "whose row it is; ObjectId in a few configurations"})
    kind: str = field(default="Тип", metadata={"help": "phone, e-mail or something else"})
    shown: str = field(default="Представление", metadata={"help": "the text as people wrote it"})
    phone: str = field(
        default="НомерТелефона", metadata={"help": "the phone's digits, for a text that holds no whole number"}
    )
    email: str = field(default="АдресЭП", metadata={"help": "the e-mail address"})
    phone_kind: str = field(default="Телефон", metadata={"help": "the kind that means a phone"})
    email_kind: str = field(default="АдресЭлектроннойПочты", metadata={"help": "the kind that means an e-mail address"})


@dataclass(frozen=True)
class OneCConfig:
    """`[connections.*]` with `system = "onec"`. An empty metadata name switches off what it names."""

    base_url: str = field(metadata={"help": "the published base, without /odata/: https://SERVER/BASE"})
    login: str = field(metadata={"help": "a user of the base with the role УдаленныйДоступOData"})
    password: Secret = field(metadata={"help": "that user's password"})
    timezone: ZoneInfo = field(metadata={"help": "the zone of the times in the base, which bear none themselves"})
    days: int = field(default=30, metadata={"help": "Interests dated within so many days are read again", "min": 1})
    scan_at: str = field(
        default="03:00", metadata={"help": "when, in the base's time, older Interests are searched for changes"}
    )
    page_rows: int = field(default=200, metadata={"help": "Interests in one answer", "min": 2 * OVERLAP})
    scan_rows: int = field(default=1000, metadata={"help": "versions in one answer of a scan", "min": 2 * OVERLAP})
    concurrency: int = field(
        default=2, metadata={"help": "calls at a time to this base, by all workers together", "min": 1}
    )
    reuse_sessions: bool = field(
        default=True, metadata={"help": "keep 1C sessions open between calls; each may hold a client licence"}
    )
    longest_url: int = field(
        default=2000, metadata={"help": "characters; IIS takes 2000, Apache 8000, which saves calls", "min": 1000}
    )
    status_attribute: str = field(
        default="", metadata={"help": "a string attribute of the Interest that takes Parom's notes"}
    )
    interest: InterestNames = field(
        default_factory=InterestNames, metadata={"help": "what the Interest's attributes are called in the base"}
    )
    contacts: ContactNames = field(
        default_factory=ContactNames, metadata={"help": "where phones and e-mails stand, and what they are called"}
    )
    connect_timeout: timedelta = field(default=timedelta(seconds=5), metadata={"help": "to reach the server"})
    read_timeout: timedelta = field(default=timedelta(seconds=90), metadata={"help": "between two parts of an answer"})
    deadline: timedelta = field(default=timedelta(seconds=180), metadata={"help": "for a call with all its repeats"})

    def problems(self) -> Iterator[tuple[str, str]]:
        """What the types cannot tell: the key, and what is wrong with its value."""
        if not BASE_URL.fullmatch(self.base_url) or "/odata/" in f"{self.base_url}/":
            yield "base_url", "must look like https://SERVER/BASE, without /odata/"
        if not self.login or ":" in self.login:
            yield "login", "must be a user's name without a colon"
        if not TIME_OF_DAY.fullmatch(self.scan_at):
            yield "scan_at", "must be a time of day: 03:00"
        if not NAME.fullmatch(self.status_attribute):
            yield "status_attribute", "must be the name of an attribute, or empty"
        if self.status_attribute and self.status_attribute in _values(self.interest):
            yield "status_attribute", "must not be an attribute that is read"
        for key in ("interest", "contacts"):
            yield from ((f"{key}.{name}", problem) for name, problem in _wrong_names(getattr(self, key)))

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc.lower()

    @property
    def account(self) -> str:
        """Whose calls are counted together: a base's, by whatever user."""
        return f"onec:{self.host}{urlsplit(self.base_url).path.rstrip('/')}"

    @property
    def title(self) -> str:
        return f"1C {self.host}{urlsplit(self.base_url).path.rstrip('/')}"

    @property
    def service_url(self) -> str:
        return quote(self.base_url.rstrip("/"), safe=":/%[]") + "/odata/standard.odata/"

    @property
    def authorization(self) -> str:
        """HTTP Basic, in UTF-8: logins are often Cyrillic (facts/onec.md A6)."""
        return "Basic " + b64encode(f"{self.login}:{self.password}".encode()).decode()

    @property
    def scan_time(self) -> time:
        return time.fromisoformat(self.scan_at)


REQUIRED = ("set", "date", "owner")


def _wrong_names(names: InterestNames | ContactNames) -> Iterator[tuple[str, str]]:
    for declared in fields(names):
        value = getattr(names, declared.name)
        if declared.name in REQUIRED and not value:
            yield declared.name, "must not be empty"
        elif not NAME.fullmatch(value):
            yield declared.name, "must be one word of letters, digits and _"


def _values(names: InterestNames) -> set[str]:
    return {getattr(names, declared.name) for declared in fields(names)}
