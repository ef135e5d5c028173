"""Everything real, on this machine: sandbox, Redis-protocol server, database, workers and beats as processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path

import requests

from tasks.ledger import Ledger, migrate, report
from tasks.ledger.vault import new_key
from workers import compose
from workers.cli.demo import BRANCHOFFICES, STAGES
from workers.cli.verify import verify
from workers.embedded import EmbeddedRedis, die_with_parent

CONFIG = """\
timezone = "Europe/Moscow"
database_url = "{database_url}"
redis_url = "{redis_url}"
threads = {threads}
lease = "{lease}"

[connections.crm]
system = "bitrix24"
webhook_url = "${{file:webhook}}"
{crm}

[connections.school]
system = "otmechalka"
base_url = "{otmechalka}"
token = "${{file:token}}"
requests_per_second = 500.0
burst = 500
deadline = "{deadline}"
settle = "{settle}"
{school}

[flows.students]
kind = "bitrix24-contacts-to-otmechalka-clients"
source = "crm"
target = "school"
since = 2020-12-22
status_field = "UF_CRM_SYNC_STATUS"
every = "{every}"
{flow}

[flows.students.courses]
online_group = {{ id = "10985", name = "Он-лайн Групповое" }}
online_individual = {{ id = "10986", name = "Он-лайн индивидуальные" }}
group = {{ id = "10987", name = "Групповые занятия" }}
individual = {{ id = "10988", name = "Индивидуальные занятия" }}

[flows.students.branchoffices]
{branchoffices}
"""
TICKETS = """
[flows.tickets]
kind = "bitrix24-deals-to-otmechalka-tickets"
source = "crm"
target = "school"
parent = "students"
since = 2020-12-22
status_field = "UF_CRM_SYNC_STATUS"
every = "{every}"
ticket_pattern = "индивидуальные|групповые"
{flow}

[flows.tickets.branchoffices]
{branchoffices}
"""
INTERESTS = """
[connections.base]
system = "onec"
base_url = "{onec}"
login = "Обмен"
password = "${{file:onec_password}}"
timezone = "Europe/Moscow"
{base}

[connections.base.contacts]
partner_set = "Catalog_Партнеры_КонтактнаяИнформация"

[connections.calls]
system = "comagic"
base_url = "{comagic}"
token = "${{file:comagic_token}}"
timezone = "Europe/Moscow"
deadline = "{deadline}"
settle = "{settle}"

[flows.people]
kind = "onec-interests-to-comagic-contacts"
source = "base"
target = "calls"
since = 2020-12-22
every = "{every}"
{flow}

[flows.interests]
kind = "onec-interests-to-comagic-deals"
source = "base"
target = "calls"
parent = "people"
since = 2020-12-22
every = "{every}"
funnel = "123"
inbox_token = "${{file:inbox_token}}"
inbox_patience = "{inbox_patience}"
{flow}

[flows.interests.stages]
{stages}
"""
TRADE = """
[connections.amo]
system = "amocrm"
base_url = "{amocrm}"
token = "${{file:amocrm_token}}"
account_id = {onec_handlers_key}
inn_field = "INN"
default_user = 8000002
requests_per_second = 500.0
account_requests_per_second = 500.0
deadline = "{deadline}"
settle = "{settle}"
{amo}

[connections.trade]
system = "onec_handlers"
key = "{onec_handlers_key}"
id_base = "{onec_handlers_id_base}"
token = "${{file:trade_token}}"
concurrency = 8
patience = "5s"
deadline = "{deadline}"
settle = "{settle}"
{trade}
"""
TRADE_FLOW = """
[flows.{name}]
kind = "{kind}"
source = "{source}"
target = "{target}"
since = 2020-12-22
every = "{every}"
window = 16
{more}
"""
FROM_AMO = 'status_field = "PAROM_STATUS"'
TRADE_FLOWS = {
    "individuals": ("onec-clients-to-amocrm-contacts", ""),
    "legals": ("onec-clients-to-amocrm-companies", ""),
    "orders": ("onec-orders-to-amocrm-leads", ""),
    "events": ("onec-events-to-amocrm", 'parent = "orders"'),
    "contacts": ("amocrm-contacts-to-onec-clients", FROM_AMO),
    "companies": ("amocrm-companies-to-onec-clients", f'{FROM_AMO}\ninn_field = "INN"'),
    "leads": (
        "amocrm-leads-to-onec-orders",
        f'{FROM_AMO}\ninn_field = "INN"\nparents = ["contacts", "companies"]',
    ),
}
"""Kind and more, by name."""
TRADE_TOKEN = "invented-token-of-the-trade-base"
INBOX_TOKEN = "invented-inbox-token"
SYSTEMS = ("otmechalka", "onec", "comagic", "amocrm", "onec_handlers")
"""Those that Parom is given by an address; Bitrix24 is given by a webhook."""
PATIENCE = 60.0
LOOK_EVERY = 0.2
"""Seconds: whoever looks oftener takes the processors from those who work."""


def wait_until(condition, what, *, patience=PATIENCE):
    """Wait for a condition of processes; fails with `what` when it does not come."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(LOOK_EVERY)
    return value


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Sandbox:
    """The sandbox process and its side door."""

    def __init__(self, folder):
        ready = folder / "sandbox.json"
        command = [sys.executable, "-m", "sandbox", "--ready-file", str(ready)]
        self.process = subprocess.Popen(command, preexec_fn=die_with_parent, stdout=subprocess.DEVNULL)
        wait_until(ready.exists, "the sandbox listens")
        self.addresses = json.loads(ready.read_text())
        self.session = requests.Session()

    def get(self, path):
        answer = self.session.get(self.addresses["admin"] + path, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def post(self, path, **body):
        answer = self.session.post(self.addresses["admin"] + path, json=body, timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    def clients(self):
        return {row["origin_id"]: row for row in self.get("/store/otmechalka/clients")["rows"]}

    def tickets(self):
        return {row["origin_id"]: row for row in self.get("/store/otmechalka/tickets")["rows"]}

    def deals(self):
        return {row["ID"]: row for row in self.get("/store/bitrix24/deals")["rows"]}

    def contacts(self):
        return {row["ID"]: row for row in self.get("/store/bitrix24/contacts")["rows"]}

    def create_communication_field(self):
        """What `parom check` does before the first deal travels."""
        field = {"ext_id": "communication_id", "name": "ID обращения", "data_type": "string"}
        params = {"access_token": self.addresses["comagic_token"], **field}
        body = {"jsonrpc": "2.0", "id": "1", "method": "create.deal_user_field", "params": params}
        answer = self.session.post(self.addresses["comagic"], json=body, timeout=10)
        assert "result" in answer.json(), answer.text

    def histories(self):
        """Per deal: the rows that were uploaded, in the order in which they were accepted."""
        found = defaultdict(list)
        for row in self.get("/store/comagic/deals_history")["rows"]:
            if not row["is_generated"]:
                found[row["ext_id"]].append(row)
        return found

    def journal(self, since=0):
        return self.get(f"/journal?limit=1000000&since={since}")["entries"]

    def writes(self, system):
        """Committed writes, command by command, as (method, key)."""
        entries = [entry for entry in self.journal() if entry["system"] == system]
        acts = [act for entry in entries for act in (entry["commands"] or [entry])]
        return [(act["method"], act["key"]) for act in acts if act["kind"] == "write" and act["committed"]]

    def creations(self):
        """(entity's path, key) of every committed creation, doubled ones included."""
        return [(method, key) for method, key in self.writes("otmechalka") if not method.endswith("{origin_id}/")]

    def rows(self, system, entity):
        return self.get(f"/store/{system}/{entity}")["rows"]

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


@dataclass
class Harbour:
    """One installation of Parom with its outside world; `stop` ends every process of it."""

    folder: Path
    ledger: Ledger
    sandbox: Sandbox
    redis: EmbeddedRedis
    module: str = "workers.cli"
    """What the processes run."""
    processes: list = field(default_factory=list)
    secret_key: str = field(default_factory=new_key)

    @property
    def environ(self):
        config = {"PAROM_CONFIG": str(self.folder / "parom.toml"), "PAROM_SECRET_KEY": self.secret_key}
        return {**os.environ, **config}

    def start(self, *command, **environ):
        log = (self.folder / f"{command[0]}-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", self.module, *command],
            env={**self.environ, **environ},
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
        self.processes.append(process)
        return process

    def start_working(self, workers=1, beats=1):
        started = [self.start("worker") for _ in range(workers)]
        for _ in range(beats):
            self.start("beat")
        return started

    def start_web(self, command="web"):
        """The web process, or all of `up`, on a free port; returns its address."""
        port = free_port()
        self.start(command, "--listen", f"127.0.0.1:{port}")
        return f"http://127.0.0.1:{port}"

    def ready(self, address):
        try:
            return requests.get(f"{address}/readyz", timeout=2).ok
        except requests.ConnectionError:
            return False

    def run(self, *command, patience=120, **environ):
        """A `parom` command to its end; returns the finished process with its output as text."""
        return subprocess.run(
            [sys.executable, "-m", "workers.cli", *command],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )

    def settled(self, seen, flow="students"):
        """Whether `seen` records are known and none of them, nor a note, is still on its way."""
        try:
            now = report.of_flow(self.ledger, flow)
        except KeyError:
            return False  # no process has started yet
        is_open = any(now.by_state.get(state) for state in ("pending", "queued", "running"))
        return sum(now.by_state.values()) >= seen and not is_open and not now.notes_due

    def status(self, flow):
        """What `parom status` knows of the flow; nothing before the first process has started."""
        try:
            return asdict(report.of_flow(self.ledger, flow))
        except KeyError:
            return defaultdict(dict)

    def logs(self):
        return "".join(path.read_text(errors="replace") for path in self.folder.glob("**/*.log"))

    def stop(self):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
        self.redis.stop()
        self.sandbox.stop()
        self.ledger.close()


def open_harbour(
    folder,
    database_url,
    *,
    contacts=0,
    deals=0,
    tickets=False,
    interests=None,
    trade=False,
    crm="",
    school="",
    base="",
    amo="",
    base_of_trade="",
    flow="",
    inbox_patience="1s",
    threads=200,
    every="2s",
    lease="3s",
    deadline="4s",
    settle="4s",
    start_redis=True,
    through=None,
    redis_class=EmbeddedRedis,
):
    """A configured installation, its ledger migrated, its Redis running, nobody working yet.

    `through` maps the address of each neighbour (database, redis, bitrix24 and the other systems) to the one that Parom
    is given. `base_of_trade` may name `{onec_handlers}`, such an address, and `{onec_handlers_login}`.
    """
    sandbox, redis = Sandbox(folder), redis_class(folder / "var")
    if start_redis:
        redis.start()
    through = through or (lambda name, url: "embedded" if name == "redis" else url)
    values = {
        "database_url": through("database", database_url),
        "redis_url": through("redis", redis.url if start_redis else ""),
        **{name: through(name, sandbox.addresses[name]) for name in SYSTEMS},
        **{f"onec_handlers_{name}": sandbox.addresses[f"onec_handlers_{name}"] for name in ("key", "id_base", "login")},
        "threads": threads,
        "inbox_patience": inbox_patience,
        "every": every,
        "lease": lease,
        "deadline": deadline,
        "settle": settle,
    }
    form = CONFIG + (TICKETS if tickets else "") + ("" if interests is None else INTERESTS)
    form += _trade(every) if trade else ""
    texts = {
        "crm": crm,
        "school": school,
        "base": base,
        "amo": amo,
        "trade": base_of_trade.format(**values),
        "flow": flow,
    }
    config = form.format(**values, **texts, branchoffices=BRANCHOFFICES, stages=STAGES)
    (folder / "parom.toml").write_text(config)
    (folder / "webhook").write_text(through("bitrix24", sandbox.addresses["bitrix24"]))
    (folder / "token").write_text(sandbox.addresses["otmechalka_token"])
    (folder / "inbox_token").write_text(INBOX_TOKEN)
    (folder / "trade_token").write_text(TRADE_TOKEN)
    for name in ("onec_password", "comagic_token", "amocrm_token", "onec_handlers_password"):
        (folder / name).write_text(sandbox.addresses[name])
    # Nothing outside shall save us from creating twice.
    sandbox.post("/switches/otmechalka", unique_origin_id=False)
    if contacts:
        sandbox.post("/seed", contacts=contacts, **({"deals": deals} if deals else {}))
    if interests is not None:
        sandbox.post("/seed", interests=interests)
        sandbox.create_communication_field()
    ledger = Ledger(database_url)
    migrate.upgrade(ledger)
    harbour = Harbour(folder, ledger, sandbox, redis)
    if trade:
        sandbox.post("/switches/amocrm", rate_profile="off")
        sandbox.post("/switches/onec_handlers", repeats="double", inn_taken="double")
        harbour.run("check")  # it makes our fields; the base has not registered yet, which it complains of
    return harbour


def _trade(every):
    """The tables of both systems and their seven flows."""
    flows = []
    for name, (kind, more) in TRADE_FLOWS.items():
        source, target = ("amo", "trade") if kind.startswith("amocrm") else ("trade", "amo")
        flows.append(TRADE_FLOW.format(name=name, kind=kind, source=source, target=target, every=every, more=more))
    return TRADE + "".join(flows)


def flows_of(settings):
    """The flows as an installation has them, for a verdict: without a Redis, none of their systems is called."""
    return compose.build_flows(settings, compose.connect_redis("redis://127.0.0.1:1/0")).values()


def verdicts(harbour):
    """What the stores of both sides say of each flow."""
    settings = compose.read_settings(harbour.environ)
    return {flow.name: verify(flow, harbour.sandbox, settings.timezone) for flow in flows_of(settings)}


def assert_all_arrived(harbour):
    """Every entity of every flow is where the mapping says, with its note, created once."""
    for name, verdict in verdicts(harbour).items():
        assert verdict.right
        assert (verdict.wrong, verdict.notes_wrong) == ((), ()), name
    doubled = [each for each, count in Counter(harbour.sandbox.creations()).items() if count > 1]
    assert not doubled


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
