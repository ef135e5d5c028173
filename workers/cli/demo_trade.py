"""The part of the demo in which a 1C base and amoCRM talk both ways, through our API and our calls."""

import time
from typing import Any, Protocol

import requests

TABLES = """
[connections.amo]
system = "amocrm"
base_url = "{amocrm}"
token = "${{file:amocrm_token}}"
inn_field = "INN"
requests_per_second = 200.0
account_requests_per_second = 200.0

[connections.trade]
system = "onec_handlers"
key = "{onec_handlers_key}"
id_base = "{onec_handlers_id_base}"
token = "${{file:trade_token}}"
web_address = "{onec_handlers}"
handlers_login = "{onec_handlers_login}"
handlers_password = "${{file:handlers_password}}"
concurrency = 8

[flows.individuals]
kind = "onec-clients-to-amocrm-contacts"
source = "trade"
target = "amo"
since = 2020-12-22
window = 16

[flows.legals]
kind = "onec-clients-to-amocrm-companies"
source = "trade"
target = "amo"
since = 2020-12-22
window = 16

[flows.orders]
kind = "onec-orders-to-amocrm-leads"
source = "trade"
target = "amo"
since = 2020-12-22
window = 16

[flows.events]
kind = "onec-events-to-amocrm"
source = "trade"
target = "amo"
parent = "orders"
since = 2020-12-22
window = 16

[flows.contacts]
kind = "amocrm-contacts-to-onec-clients"
source = "amo"
target = "trade"
since = 2020-12-22
window = 16
status_field = "PAROM_STATUS"

[flows.companies]
kind = "amocrm-companies-to-onec-clients"
source = "amo"
target = "trade"
since = 2020-12-22
window = 16
status_field = "PAROM_STATUS"
inn_field = "INN"

[flows.leads]
kind = "amocrm-leads-to-onec-orders"
source = "amo"
target = "trade"
parents = ["contacts", "companies"]
since = 2020-12-22
window = 16
status_field = "PAROM_STATUS"
inn_field = "INN"
"""
FLOWS = ("individuals", "legals", "orders", "events", "contacts", "companies", "leads")
TOKEN = "token-of-the-demos-own-base"  # noqa: S105 - of a sandbox that ends with the demo
SECRETS = {"amocrm_token": "amocrm_token", "handlers_password": "onec_handlers_password"}
ROUNDS = 10
READY_SECONDS = 30.0


class Sandbox(Protocol):
    """The side door of the outside world."""

    def post(self, path: str, **body: Any) -> Any:
        """What the sandbox answers to the JSON body."""


def enter(sandbox: Sandbox, contacts: int) -> str:
    """People enter their data on both sides; returns how much, in words."""
    counterparties, orders, events = contacts // 5, contacts // 10, contacts // 5
    sandbox.post("/switches/amocrm", rate_profile="off")
    sandbox.post("/seed", counterparties=counterparties, orders=orders, order_events=events)
    sandbox.post("/amocrm/seed", contacts=contacts // 20, companies=contacts // 50, leads=contacts // 25)
    return f"{counterparties} counterparties, {orders} orders and {events} payments and shipments in another 1C"


def exchange(sandbox: Sandbox, web: str) -> int:
    """1C tells all that is new to it; returns how much it could not tell yet."""
    told = sandbox.post("/onec_handlers/push", url=web, token=TOKEN, threads=8, drop_refused=True)
    return int(told["left"])


def await_web(web: str) -> bool:
    """Whether the web process answers by now."""
    ends = time.monotonic() + READY_SECONDS
    while time.monotonic() < ends:
        try:
            if requests.get(f"{web}/readyz", timeout=2).ok:
                return True
        except requests.ConnectionError:
            time.sleep(0.1)
    return False
