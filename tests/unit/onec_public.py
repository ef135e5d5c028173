"""A web app with 1C bases over siblings: what is pushed goes aboard a ferry that a test can look into."""

import base64
import json
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

from connectors.base import Secret
from connectors.onec_handlers import OneCHandlers
from connectors.onec_handlers_config import OneCHandlersConfig
from tasks.flow import Parent
from tasks.inline import Outcome
from tasks.ledger.tables import State
from tests import siblings
from tests.unit.vaults import MemoryVault
from workers.web.app import create_app
from workers.web.onec_public.api import Parts
from workers.web.onec_public.limits import Limits

KEY, OTHER_KEY = 1234567, 7654321
ID_BASE = "5f0c7c0e-0000-4000-8000-000000000001"
TOKEN = "invented-token-of-the-base"
LOGIN, PASSWORD = "Обмен", "invented-password"
PUBLISHER, PUBLISHERS_PASSWORD = "publisher", "invented-publishers-password"
API_TOKEN = "invented-token-of-operators"
OPERATORS = Secret(API_TOKEN)
PUBLIC_ADDRESS = "198.41.0.4"
HOME = "192.0.2.7"
WHO = {"key": KEY, "id_base": ID_BASE}
ENTITIES = ("clients_contacts", "clients_companies", "leads", "events")
PARENTS = {"events": (Parent("leads", field="order_id_1c", label="заказ", link="lead_id"),)}


@dataclass
class Ferry:
    """As `tasks.inline.carry`: everything is delivered at once and keeps its id, unless a test says otherwise."""

    rows: list = field(default_factory=list)
    ids: dict = field(default_factory=dict)
    outcome: Outcome | None = None
    error: Exception | None = None
    patience: object = None

    def __call__(self, runtime, name, row, *, patience):
        if self.error:
            raise self.error
        self.rows.append((name, row))
        self.patience = patience
        id_ = self.ids.setdefault((name, row.id), str(1000 + len(self.ids)))
        return self.outcome or Outcome(State.DONE, id_, None, None)


def config_of(**more):
    keys = {
        "key": str(KEY),
        "id_base": ID_BASE,
        "token": Secret(TOKEN),
        "login": LOGIN,
        "password": Secret(PASSWORD),
        "handlers_publisher_login": PUBLISHER,
        "handlers_publisher_password": Secret(PUBLISHERS_PASSWORD),
    }
    made = OneCHandlersConfig(**keys | more)
    assert not list(made.problems())
    return made


def resolve(host, port):
    """The DNS of these tests."""
    known = {
        "1c.example": PUBLIC_ADDRESS,
        "office.example": "192.168.0.5",
        "metadata.example": "169.254.169.254",
        "localhost": "127.0.0.1",
    }
    if host not in known:
        raise OSError("no such name")
    return [known[host]]


@dataclass
class World:
    """One web app. `configs` are its bases, by name; flows go from each of them to a memory."""

    ledger: object
    redis: object
    configs: dict
    limits: Limits = field(default_factory=Limits)
    entities: tuple = ENTITIES
    api_token: Secret | None = OPERATORS
    ferry: Ferry = field(default_factory=Ferry)
    vault: MemoryVault = field(default_factory=MemoryVault)

    def __post_init__(self):
        connections = {name: SimpleNamespace(name=name, config=config) for name, config in self.configs.items()}
        self.connectors = {
            name: OneCHandlers(config, self.redis, vault=self.vault, resolve=resolve)
            for name, config in self.configs.items()
        }
        flows = {f"{name}-{entity}": self._flow(name, entity) for name in self.configs for entity in self.entities}
        self.runtime = siblings.runtime_of(self.ledger, self.redis, flows)
        settings = SimpleNamespace(connections=connections, flows={}, api_token=self.api_token)
        parts = Parts(vault=self.vault, carry=self.ferry, resolve=resolve, limits=self.limits)
        self.app = create_app(settings, self.runtime, parts)
        self.client = self.app.test_client()

    def _flow(self, name, entity):
        kind = replace(siblings.KIND, name=entity, source_entity=entity, parents=PARENTS.get(entity, ()))
        target = siblings.MemoryConnector(siblings.MemoryTarget())
        flow = siblings.flow_of(f"{name}-{entity}", siblings.NameMapping(), self.connectors[name], target, kind=kind)
        return replace(flow, source_name=name, parent_flows={"leads": f"{name}-leads"})

    def post(self, path, body=None, *, auth="token", address="203.0.113.9", **headers):
        """`body` is JSON, or bytes as they are; `auth` one of AUTH, or a header."""
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        shown = AUTH.get(auth, auth)
        all_headers = {"Authorization": shown, **headers} if shown else headers
        return self.client.post(path, data=data, headers=all_headers, environ_base={"REMOTE_ADDR": address})

    def get(self, path, *, auth="token", address="203.0.113.9"):
        headers = {"Authorization": AUTH[auth]} if AUTH[auth] else {}
        return self.client.get(path, headers=headers, environ_base={"REMOTE_ADDR": address})


def basic(login, password):
    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()


AUTH = {
    "token": f"Bearer {TOKEN}",
    "basic": basic(LOGIN, PASSWORD),
    "publisher": basic(PUBLISHER, PUBLISHERS_PASSWORD),
    "operator": f"Bearer {API_TOKEN}",
    "nothing": None,
}


def success(data):
    return {"success": True, "data": data, "error": None}


def is_refusal(answer, code, status):
    """Whether it is an error in the envelope, and nothing else."""
    body = answer.json
    is_shaped = set(body) == {"success", "data", "error"} and body["success"] is False and body["data"] is None
    return is_shaped and body["error"].startswith(f"{code}: ") and answer.status_code == status
