"""The composition root: every system with its listener, and what they share: clock, journal, chronicle, faults."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from sandbox import delivery
from sandbox.amocrm.account import AmoCrm
from sandbox.bitrix24.portal import OWNER, Portal
from sandbox.chronicle import Chronicle
from sandbox.clock import Clock
from sandbox.comagic.account import PATH as COMAGIC_PATH
from sandbox.comagic.account import Account
from sandbox.faults import Faults
from sandbox.journal import Journal
from sandbox.onec.addressing import BASE
from sandbox.onec.base import OneC
from sandbox.onec_handlers.base import OneCHandlers
from sandbox.onec_handlers.reference import PATH as HANDLERS_PATH
from sandbox.otmechalka.school import School
from sandbox.server import Answer, Front, Listener, guarded
from sandbox.system import System
from sandbox.tls import Certificate, NoTls
from sandbox.wire import Request, Response


@dataclass(slots=True)
class World:
    """All that the admin side can reach; what is peculiar about each seeded row is remembered by its id."""

    clock: Clock = field(default_factory=Clock)
    journal: Journal = field(default_factory=Journal)
    chronicle: Chronicle = field(default_factory=Chronicle)
    faults: Faults = field(default_factory=Faults)
    kinds: dict[str, str] = field(default_factory=dict)
    deal_kinds: dict[str, str] = field(default_factory=dict)
    interest_kinds: dict[str, str] = field(default_factory=dict)
    counterparty_kinds: dict[str, str] = field(default_factory=dict)
    portal: Portal = field(init=False)
    school: School = field(init=False)
    account: Account = field(init=False)
    onec: OneC = field(init=False)
    onec_handlers: OneCHandlers = field(init=False)
    amocrm: AmoCrm = field(init=False)

    def __post_init__(self) -> None:
        self.portal = Portal(self.clock, self.chronicle)
        self.school = School(self.clock, self.chronicle)
        self.account = Account(self.clock, self.chronicle)
        self.onec = OneC(self.clock, self.chronicle)
        self.onec_handlers = OneCHandlers(self.clock, self.chronicle)
        self.amocrm = AmoCrm(self.clock, self.chronicle)

    @property
    def systems(self) -> dict[str, System]:
        systems = (self.portal, self.school, self.account, self.onec, self.onec_handlers, self.amocrm)
        return {system.name: system for system in systems}

    def reset(self) -> None:
        self.clock.reset()
        self.faults.disarm()
        self.kinds.clear()
        self.deal_kinds.clear()
        self.interest_kinds.clear()
        self.counterparty_kinds.clear()
        for system in self.systems.values():
            system.reset()
        self.journal.reset()
        self.chronicle.reset()


class Sandbox:
    """A world that is served. `ports` by listener name, 0 for a free one; a context manager.

    `without_tls` tells why there is no https listener; empty when there is one.
    """

    def __init__(self, world: World, admin: Callable[[Request], Response], ports: dict[str, int]) -> None:
        self.world = world
        fronts = {
            name: Front(system, clock=world.clock, faults=world.faults, journal=world.journal)
            for name, system in world.systems.items()
        }
        answers: dict[str, Callable[[Request], Answer]] = {name: front.answer for name, front in fronts.items()}
        answers["admin"] = lambda request: (guarded(admin, request), delivery.whole)
        self._listeners = {name: Listener(ports.get(name, 0), answer) for name, answer in answers.items()}
        world.onec_handlers.web_address = self._listeners["onec_handlers"].url + HANDLERS_PATH
        self.without_tls = ""
        self._certificate = self._certified()
        if self._certificate:
            port, tls = ports.get("bitrix24_tls", 0), self._certificate.context
            self._listeners["bitrix24_tls"] = Listener(port, answers["bitrix24"], tls=tls)

    def _certified(self) -> Certificate | None:
        try:
            return Certificate()
        except NoTls as error:
            self.without_tls = str(error)
            return None

    def addresses(self) -> dict[str, Any]:
        """What a client needs to know, as written to the ready file."""
        urls = {name: listener.url for name, listener in self._listeners.items()}
        webhook = f"/rest/{OWNER}/{self.world.portal.switches.secret}/"
        urls |= {name: f"{url}{webhook}" for name, url in urls.items() if name.startswith("bitrix24")}
        urls["comagic"] += COMAGIC_PATH
        urls["comagic_token"] = self.world.account.switches.token
        urls["onec"] += BASE
        urls["onec_login"], urls["onec_password"] = self.world.onec.switches.login, self.world.onec.switches.password
        urls |= self.world.onec_handlers.addresses()
        urls |= self.world.amocrm.addresses()
        ca = {"ca": str(self._certificate.path)} if self._certificate else {}
        return {**urls, **ca, "otmechalka_token": self.world.school.switches.token}

    def start(self) -> None:
        for listener in self._listeners.values():
            listener.start()

    def stop(self) -> None:
        for listener in self._listeners.values():
            listener.stop()
        self.world.portal.stop()
        self.world.amocrm.stop()
        if self._certificate:
            self._certificate.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()
