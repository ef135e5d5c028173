"""What a method is, and what it is called with."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.clock import Clock
from sandbox.comagic.forms import Form
from sandbox.comagic.store import Store
from sandbox.comagic.switches import Switches
from sandbox.wire import Kind


@dataclass(frozen=True, slots=True)
class Call:
    """Checked parameters, and the account they are about."""

    store: Store
    switches: Switches
    clock: Clock
    token: str
    params: dict[str, Any]

    def now(self) -> str:
        """As dates are written: local to the account (facts/comagic.md §5)."""
        zone = UTC if self.switches.dates_in == "UTC" else ZoneInfo(self.switches.timezone)
        return printed(self.clock.now().astimezone(zone))


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a get method, and how many there are in all."""

    rows: list[dict[str, Any]]
    total: int


Run = Callable[[Call], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """`rows` names the parameter that holds the rows of one call; `is_open` needs no token, `is_basic` no component."""

    run: Run
    kind: Kind
    entity: str = ""
    form: Form = Form()  # noqa: RUF009 - frozen
    rows: str = ""
    is_open: bool = False
    is_basic: bool = False


def printed(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
