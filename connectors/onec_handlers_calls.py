"""Requests to the handlers of a 1C base (brief 001 §1): one address, POST, Basic auth, dispatch by `type`.

The address is a stranger's: it is called under its permit only (outbound_http.py), and not before it was approved.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from connectors.answer import Answer
from connectors.base import Located, Malformed, Vault
from connectors.breaker import Breaker
from connectors.errors import Refused, Rejected
from connectors.http import Http
from connectors.onec_handlers_answer import Question, accepted, documents, located, version
from connectors.onec_handlers_base import Base, current, pending
from connectors.onec_handlers_config import OneCHandlersConfig, basic
from connectors.onec_handlers_texts import clean, sent
from connectors.onec_slots import Slots
from connectors.outbound import Resolve
from connectors.outbound_http import GuardedHttp

if TYPE_CHECKING:
    from redis import Redis

RECORDS_PER_SLOT = 4
ENTITY_NAMES = ("Контакт", "Компания", "Сделка", "Сотрудник")

T = TypeVar("T")


class Handlers:
    """The handlers of one base, wherever the base has registered them."""

    def __init__(
        self,
        config: OneCHandlersConfig,
        redis: "Redis",
        *,
        vault: Vault,
        sleep: Callable[[float], None],
        resolve: Resolve | None,
    ) -> None:
        self.config = config
        self._vault = vault
        self._resolve = resolve
        lease = config.deadline.total_seconds() + 20
        self._slots = Slots(
            redis, config.account, most=config.concurrency, lease=lease, each=RECORDS_PER_SLOT, sleep=sleep
        )
        self._how: Mapping[str, Any] = {
            "connect": config.connect_timeout,
            "read": config.read_timeout,
            "deadline": config.deadline,
            "budget": self._slots,
            "breaker": Breaker(redis, config.account, probe_lease=lease),
            "sleep": sleep,
        }
        self.http = Http(config.title, **self._how)
        """For what is known of the base without calling it."""
        self._line: tuple[Base, GuardedHttp] | None = None

    def base(self) -> Base:
        """Where the base is called now. Raises Refused if it is not registered or not approved; as `Vault.read`."""
        found = current(self._vault, self.config)
        if found:
            return found
        if pending(self._vault, self.config):
            raise Refused(f"{self.config.title}: its address waits for an operator's approval")
        raise Refused(f"{self.config.title}: it has not registered yet (POST /sync/base)")

    def links_host(self) -> str | None:
        """The host that links into the base bear. Raises as `Vault.read`."""
        if self.config.links_host:
            return self.config.links_host.lower()
        found = current(self._vault, self.config)
        return found.links_host if found else None

    def write(self, kind: str, fields: Mapping[str, Any], *, thing: str) -> Located:
        """`new_lead` or `new_order`. Raises any ConnectorError, InDoubt if it was sent and no answer read."""
        return self._ask(kind, fields, thing=thing, read=located, repeatable=False)

    def get_orders(self, lead_id: int) -> list[dict[str, str]]:
        """The documents of a deal, as the brief shows them (§1.1). Raises Transient, Throttled, Refused, Rejected."""
        return self._ask("get_orders", {"id": lead_id}, thing="запрос документов", read=documents)

    def version(self) -> str:
        """Which handlers are installed there (§1.4). Raises as `get_orders`."""
        return self._ask("get_handlers_version", {}, thing="запрос версии", read=version)

    def send_table(self, rows: Sequence[Mapping[str, Any]], user_id: int | None) -> int:
        """Rows `{"amo_name", "amo_id", "entity_name"}`, a request each (§1.5); returns how many were sent.

        Raises Malformed, with nothing sent, and as `get_orders`.
        """
        who = {} if user_id is None else {"user_id": user_id}
        bodies = [{**who, "table": _table_row(row)} for row in rows]
        for body in bodies:
            self._ask("corr_table", body, thing="таблицу соответствия", read=accepted)
        return len(bodies)

    def probe(self) -> None:
        """Raises Transient, Throttled or Refused unless the base answers to us."""
        try:
            self.version()
        except Rejected:
            return  # somebody is at home, believes us, and does not know the question

    def _ask(
        self,
        kind: str,
        fields: Mapping[str, Any],
        *,
        thing: str,
        read: Callable[[Answer, Question], T],
        repeatable: bool = True,
    ) -> T:
        base, config = self.base(), self.config
        is_blind = not (repeatable or config.repeats_are_safe)
        host = config.links_host.lower() or base.links_host
        question = Question(config.title, kind, thing, is_blind=is_blind, links_host=host)
        body = {"key": int(config.key), "id_base": config.id_base, "type": kind, **fields}
        http = self._http(base)
        self._slots.reserve()
        try:
            return http.call(
                "POST",
                base.address.url,
                name=kind,
                repeatable=repeatable,
                read=partial(_read, read, question),
                payload=sent(body),
            )
        finally:
            self._slots.release()

    def _http(self, base: Base) -> GuardedHttp:
        """A line to where the base is now; calls under way on an older one end there."""
        line = self._line
        if line is None or line[0] != base:
            headers = {"Authorization": basic(base.login, base.password)}
            http = GuardedHttp(
                self.config.title, permit=base.permit, resolve=self._resolve, headers=headers, **self._how
            )
            self._line = line = base, http
        return line[1]


def _read(read: Callable[[Answer, Question], T], question: Question, answer: Answer) -> T:
    return read(answer, question)


def _table_row(row: Mapping[str, Any]) -> dict[str, Any]:
    name, id_, entity = clean(row.get("amo_name"), 255), row.get("amo_id"), row.get("entity_name")
    if name is None or not isinstance(id_, int) or isinstance(id_, bool) or entity not in ENTITY_NAMES:
        raise Malformed(f"a row needs amo_name, amo_id (a number), entity_name: one of {', '.join(ENTITY_NAMES)}")
    return {"amo_name": name, "amo_id": id_, "entity_name": entity}
