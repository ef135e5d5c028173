"""One installation with everything that can fail around it: real processes, real servers, and a bad link to each."""

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from redis import Redis as Client
from redis import RedisError

from tests.chaos.crew import Crew
from tests.chaos.proxy import Link, Proxies
from tests.chaos.servers import Postgres, Redis
from tests.chaos.trade import Exchange
from tests.harbour import TRADE_TOKEN, Harbour, free_port, open_harbour

# A write may be late by a deadline and by what the target then still takes: less than `settle`, as the settings demand.
DEADLINE, SETTLE, LEASE = "2s", "6s", "2s"
LATEST_WRITE = 2.5
"""Seconds after which a target that answers nobody may still have committed."""
EVENTS = ["ONCRMCONTACTADD", "ONCRMCONTACTUPDATE", "ONCRMDEALADD", "ONCRMDEALUPDATE"]
TOKEN = "invented-application-token"
SECRETS = ("otmechalka_token", "comagic_token", "onec_password", "amocrm_token", "onec_handlers_password")
PEOPLE = {"a phone number": "7999000", "a phone number of a trader": "7999100"}
SEARCH_LAG = 1.0
"""Seconds after which amoCRM's search finds what was written."""
CRM = """\
requests_per_second = 50.0
burst = 200
deadline = "5s"
application_token = "${file:application_token}"
"""
BASE = """\
days = 20000  # whoever edits an old Interest need not wait for the night
concurrency = 16  # a dead worker's place is its own until its call would have ended
connect_timeout = "2s"
read_timeout = "4s"
deadline = "5s"
"""
BASE_OF_TRADE = """\
web_address = "{onec_handlers}"
handlers_login = "{onec_handlers_login}"
handlers_password = "${{file:onec_handlers_password}}"
"""
FLOW = """\
window = 20
overlap = "40s"
"""


class Arena:
    """Opened in a folder of its own; `stop` leaves no process. `mutation` names a mechanism that Parom lacks."""

    def __init__(self, folder: Path, database: str, dice: random.Random, *, mutation: str = "") -> None:
        self.dice = dice
        self._folder = folder
        self.proxies = Proxies()
        self.links: dict[str, Link] = {}
        self.postgres = Postgres() if database == "postgresql" else None
        url = self.postgres.url if self.postgres else f"sqlite:///{folder}/parom.db"
        (folder / "application_token").write_text(TOKEN)
        self.harbour: Harbour = open_harbour(
            folder,
            url,
            tickets=True,
            interests=0,
            base=BASE,
            crm=CRM,
            flow=FLOW,
            trade=True,
            base_of_trade=BASE_OF_TRADE,
            threads=220,
            every="2s",
            lease=LEASE,
            deadline=DEADLINE,
            settle=SETTLE,
            through=self._through,
            redis_class=Redis,
        )
        self.harbour.module = "tests.chaos.process"
        self.redis: Redis = self.harbour.redis
        self.sandbox = self.harbour.sandbox
        # What a merge or a deletion changes in a deal without touching it is shown to nobody; an hourly look finds it.
        silent = {"merge_touches_deals": True, "delete_unbinds_deals": False}
        self.sandbox.post("/switches/bitrix24", rate_profile="off", **silent)
        # Handlers know an amoCRM id again (facts/onec.md D5); nothing else of theirs shall save us, nor shall a search.
        self.sandbox.post("/switches/onec_handlers", repeats="same")
        self.sandbox.post("/switches/amocrm", search_lag_s=SEARCH_LAG)
        self.sandbox.post("/switches/comagic", minute_limit=1_000_000, day_limit=1_000_000)
        self.crew = Crew(self.harbour, folder / "orders")
        web = free_port()
        self.crew.add_web(web)
        for post in self.crew.posts:
            post.environ["CHAOS_MUTATION"] = mutation
        self.exchange = Exchange(self.sandbox, self._through("web", f"http://127.0.0.1:{web}"))
        hook = f"http://127.0.0.1:{web}/hooks/bitrix24/crm"
        self.sandbox.post("/bitrix24/webhooks", url=hook, events=EVENTS, application_token=TOKEN)

    def leaks(self) -> Iterator[str]:
        """What may be in no log and not in Redis, and is: secrets, and the numbers of people."""
        kept = [*self._folder.glob("*.log"), *self._folder.glob("var/**/*.aof")]
        for path in kept:
            content = path.read_bytes()
            yield from (f"{name} in {path.name}" for name, text in self._private().items() if text.encode() in content)

    def _private(self) -> dict[str, str]:
        webhook = urlsplit(self.sandbox.addresses["bitrix24"]).path.rstrip("/").rpartition("/")[2]
        secrets = {name: self.sandbox.addresses[name] for name in SECRETS}
        return {"webhook": webhook, "token of events": TOKEN, "token of 1C": TRADE_TOKEN, **secrets, **PEOPLE}

    def flush_redis(self) -> None:
        """FLUSHALL, if there is anybody to hear it."""
        with suppress(RedisError):
            Client.from_url(self.redis.url, socket_timeout=1).flushall()

    def disarm(self, fault: int) -> bool:
        """Whether it has hit any request."""
        hits = {each["id"]: each["hits"] for each in self.sandbox.get("/faults")["faults"]}
        self.sandbox.session.delete(f"{self.sandbox.addresses['admin']}/faults/{fault}", timeout=10)
        return hits[fault] > 0

    def stop(self) -> None:
        self.proxies.stop()
        with suppress(ProcessLookupError):
            self.redis.go_on()
        self.harbour.stop()
        if self.postgres:
            self.postgres.stop()

    def _through(self, name: str, url: str) -> str:
        """The neighbour's address as Parom sees it: a link of ours."""
        if name == "database":
            if not self.postgres:
                return url
            return self.postgres.url_at(self._link(name, lambda: self.postgres.socket).port)
        parts = urlsplit(url)
        link = self._link(name, lambda: (parts.hostname, parts.port))
        if parts.password:
            (self._folder / "password").write_text(parts.password)
        credentials = ":${file:password}@" if parts.password else ""
        return urlunsplit(parts._replace(netloc=f"{credentials}127.0.0.1:{link.port}"))

    def _link(self, name: str, upstream) -> Link:
        self.links[name] = self.proxies.link(name, upstream)
        return self.links[name]
