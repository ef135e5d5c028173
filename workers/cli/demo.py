"""`parom demo`: invented people travel between sandbox systems, and every one of them is verified."""

import json
import os
import shutil
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import requests
from rich.console import Console

from tasks.ledger import Ledger
from tasks.ledger import migrate as migrations
from workers.app import app, runtime, settings
from workers.cli import demo_trade
from workers.cli.borrowed import borrowed_redis
from workers.cli.failures import WorkFailed
from workers.cli.progress import shown_progress, summary
from workers.cli.up import running
from workers.cli.verify import Verdict, verify
from workers.cli.verify_both import disagreements
from workers.compose import build_flows
from workers.drain import drain
from workers.processes import ProcessTree

CONFIG = """\
timezone = "Europe/Moscow"
threads = 320

[connections.crm]
system = "bitrix24"
webhook_url = "${{file:webhook}}"

[connections.school]
system = "otmechalka"
base_url = "{otmechalka}"
token = "${{file:token}}"
requests_per_second = 200.0
burst = 200

[connections.base]
system = "onec"
base_url = "{onec}"
login = "{onec_login}"
password = "${{file:password}}"
timezone = "Europe/Moscow"

[connections.base.contacts]
partner_set = "Catalog_Партнеры_КонтактнаяИнформация"

[connections.calls]
system = "comagic"
base_url = "{comagic}"
token = "${{file:comagic_token}}"
timezone = "Europe/Moscow"

[flows.students]
kind = "bitrix24-contacts-to-otmechalka-clients"
source = "crm"
target = "school"
since = 2020-12-22
status_field = "{status_field}"

[flows.students.courses]
online_group = {{ id = "10985", name = "Он-лайн Групповое" }}
online_individual = {{ id = "10986", name = "Он-лайн индивидуальные" }}
group = {{ id = "10987", name = "Групповые занятия" }}
individual = {{ id = "10988", name = "Индивидуальные занятия" }}

[flows.students.branchoffices]
{branchoffices}

[flows.tickets]
kind = "bitrix24-deals-to-otmechalka-tickets"
source = "crm"
target = "school"
parent = "students"
since = 2020-12-22
status_field = "{status_field}"
ticket_pattern = "индивидуальные|групповые"

[flows.tickets.branchoffices]
{branchoffices}

[flows.people]
kind = "onec-interests-to-comagic-contacts"
source = "base"
target = "calls"
since = 2020-12-22

[flows.interests]
kind = "onec-interests-to-comagic-deals"
source = "base"
target = "calls"
parent = "people"
since = 2020-12-22
funnel = "123"

[flows.interests.stages]
{stages}
"""
BRANCHOFFICES = """\
online = { id = "2633", name = "+Он-лайн `МСК" }
gogolevsky = { id = "2634", name = "+ ЦДШ `МСК" }
skolkovo = { id = "2635", name = "+ СКОЛКОВО `МСК *" }"""
STAGES = """\
"5c0e0001-1f6a-11ee-8a2b-0050569a0c11" = { id = "NEW" }
"5c0e0002-1f6a-11ee-8a2b-0050569a0c11" = { id = "QUALIFIED" }
"5c0e0003-1f6a-11ee-8a2b-0050569a0c11" = { id = "OFFER" }
"5c0e0004-1f6a-11ee-8a2b-0050569a0c11" = { id = "CONTRACT" }
"5c0e0005-1f6a-11ee-8a2b-0050569a0c11" = { id = "WON", closes = true }
"5c0e0006-1f6a-11ee-8a2b-0050569a0c11" = { id = "LOST", closes = true }"""
STATUS_FIELD = "UF_CRM_SYNC_STATUS"
SECRETS = {
    "webhook": "bitrix24",
    "token": "otmechalka_token",
    "password": "onec_password",
    "comagic_token": "comagic_token",
    **demo_trade.SECRETS,
}
"""Files beside parom.toml, and whose address or secret the sandbox puts there."""
READY_SECONDS = 15


@click.command()
@click.option("--contacts", type=click.IntRange(1, 20_000), default=500, show_default=True)
@click.option(
    "--folder", type=click.Path(path_type=Path), default="var/demo", show_default=True, help="is emptied first"
)
@click.option("--stay/--exit", default=None, help="keep running at the end; default: if a person is watching")
def demo(contacts: int, folder: Path, *, stay: bool | None) -> None:
    """Carry invented people between sandbox systems, verify every one, poll again: nothing is written."""
    console = Console(highlight=False, soft_wrap=True)
    folder = folder.absolute()
    _empty(folder)
    outside = ProcessTree(folder / "log")
    is_right = False  # and stays so if Ctrl-C ends it early
    try:
        sandbox = _open_sandbox(outside, folder)
        _configure(folder, sandbox)
        deals, interests = contacts // 2, contacts * 3 // 5
        sandbox.post("/seed", contacts=contacts, deals=deals, interests=interests)
        trade = demo_trade.enter(sandbox, contacts)
        _prepare()
        console.print(
            f"[bold]Parom demo.[/] {contacts} invented contacts and {deals} deals in a sandbox Bitrix24, {interests} "
            f"Interests in a sandbox 1C, {trade}, some people in amoCRM; nothing in otmechalka and CoMagic yet."
        )
        listen = f"127.0.0.1:{_free_port()}"
        with running(log_folder=settings().var / "log", listen=listen) as mend:
            if not demo_trade.await_web(f"http://{listen}"):
                raise WorkFailed(f"the web process does not answer; see {settings().var / 'log'}")
            is_right = _carry(console, sandbox, mend, web=f"http://{listen}")
            if sys.stdout.isatty() if stay is None else stay:
                _stay(console, sandbox, folder)
    finally:
        outside.stop()
    if not is_right:
        raise SystemExit(WorkFailed.exit_code)


def _empty(folder: Path) -> None:
    if folder.exists() and not (folder / "parom.toml").exists() and any(folder.iterdir()):
        raise click.UsageError(f"{folder} holds something that is not a demo's; name another --folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


@dataclass(frozen=True)
class Sandbox:
    """The sandbox process by its addresses."""

    addresses: Mapping[str, str]

    def get(self, path: str) -> Any:
        answer = requests.get(self.addresses["admin"] + path, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        answer = requests.post(self.addresses["admin"] + path, json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def requests_so_far(self) -> Counter[tuple[str, str]]:
        """HTTP requests since the start, by (system, read or write)."""
        entries = self.get("/journal?limit=1000000")["entries"]
        return Counter((entry["system"], entry["kind"]) for entry in entries)


def _open_sandbox(tree: ProcessTree, folder: Path) -> Sandbox:
    ready = folder / "sandbox.json"
    child = tree.start("sandbox", [sys.executable, "-m", "sandbox", "--ready-file", str(ready)])
    deadline = time.monotonic() + READY_SECONDS
    while not ready.exists():
        if child.process.poll() is not None or time.monotonic() > deadline:
            raise WorkFailed(f"the sandbox did not start; see {folder / 'log' / 'sandbox.log'}")
        time.sleep(0.05)
    return Sandbox(json.loads(ready.read_text()))


def _configure(folder: Path, sandbox: Sandbox) -> None:
    more = {"status_field": STATUS_FIELD, "branchoffices": BRANCHOFFICES, "stages": STAGES}
    config = (CONFIG + demo_trade.TABLES).format(**sandbox.addresses, **more)
    (folder / "parom.toml").write_text(config, encoding="utf-8")
    (folder / "trade_token").write_text(demo_trade.TOKEN)
    for name, secret in SECRETS.items():
        (folder / name).write_text(sandbox.addresses[secret])
    for name in ("PAROM_DATABASE_URL", "PAROM_REDIS_URL"):
        os.environ.pop(name, None)  # the demo touches nothing but its own folder
    os.environ["PAROM_CONFIG"] = str(folder / "parom.toml")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _prepare() -> None:
    """What a person does once, with `parom check`: it makes the fields that flows need in CoMagic and amoCRM."""
    migrations.upgrade(Ledger(settings().database_url))
    with borrowed_redis() as redis:
        for flow in build_flows(settings(), redis).values():
            if flow.kind.target_system == "comagic":
                list(flow.target_connection.check(flow.kind.target_entity, flow.demands))
            if flow.kind.source_system == "amocrm":
                list(flow.source_connection.check(flow.kind.source_entity, flow.needs()))


def _carry(console: Console, sandbox: Sandbox, mend: Callable[[], None], *, web: str) -> bool:
    for _ in range(demo_trade.ROUNDS):  # what is written into 1C it tells back, and that must end
        left = demo_trade.exchange(sandbox, web)
        with shown_progress(console) as watch:
            first = drain(runtime(), app, watch=watch, mend=mend)
        if not left and not demo_trade.exchange(sandbox, web):
            break
    summary(console, first)
    before = sandbox.requests_so_far()
    with shown_progress(console) as watch:
        drain(runtime(), app, watch=watch, mend=mend)
    again = sandbox.requests_so_far() - before
    one_way = [flow for name, flow in runtime().flows.items() if name not in demo_trade.FLOWS]
    verdicts = [verify(flow, sandbox, settings().timezone) for flow in one_way]
    differences = disagreements(sandbox)
    _tell(console, verdicts, before, again, differences)
    return first.is_clean and all(each.is_right for each in verdicts) and not _writes(again) and not differences


def _writes(requests_made: Counter[tuple[str, str]]) -> int:
    return sum(count for (_, kind), count in requests_made.items() if kind == "write")


def _tell(
    console: Console,
    verdicts: Sequence[Verdict],
    first: Counter[tuple[str, str]],
    again: Counter[tuple[str, str]],
    differences: Sequence[str],
) -> None:
    console.print()
    for each in verdicts:
        target = runtime().flows[each.flow].kind.target_system
        _mark(
            console,
            f"{each.flow}: {target} holds exactly what the mapping makes of {len(each.right)} records",
            each.wrong,
        )
        if runtime().flows[each.flow].status_field:
            _mark(console, f"{each.flow}: every one of them shows the right note in its source", each.notes_wrong)
    text = "1C and amoCRM: each counterparty, order and event is there once on both sides, and both say the same"
    _mark(console, text, differences)
    text = f"a second poll wrote nothing ({sum(again.values())} calls, {_writes(again)} writes)"
    _mark(console, text, _writes(again))
    calls = Counter({system: 0 for system, _ in first})
    for (system, _), count in first.items():
        calls[system] += count
    console.print("  calls: " + ", ".join(f"{system} {count}" for system, count in sorted(calls.items())), style="dim")


def _mark(console: Console, text: str, wrong: object) -> None:
    console.print(f"[red]✗[/] {text}; wrong: {wrong}" if wrong else f"[green]✓[/] {text}")


def _stay(console: Console, sandbox: Sandbox, folder: Path) -> None:
    some_id = sandbox.get("/store/bitrix24/contacts")["rows"][0]["ID"]
    console.print(
        f"\nIt goes on running: edit a contact and see it travel. In another terminal:\n"
        f"  export PAROM_CONFIG={folder / 'parom.toml'}\n"
        f"  parom status\n  parom history students {some_id}\n  parom preview students {some_id}\n"
        f"The sandbox's side door: {sandbox.addresses['admin']}\nCtrl-C ends everything.",
        markup=False,
    )
    while True:
        time.sleep(1)
