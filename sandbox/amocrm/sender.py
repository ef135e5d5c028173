"""Webhooks leave (facts/amocrm.md §14): 2 seconds to answer, up to five attempts, a hook that mostly fails is disabled.

Nothing is promised of order or uniqueness: switches shuffle, repeat and drop. The schedule runs on the sandbox's clock.
"""

import heapq
import itertools
import random
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Literal
from urllib.parse import urlsplit

from sandbox.amocrm.hookforms import Item, encoded
from sandbox.amocrm.reference import ACCOUNT_ID
from sandbox.amocrm.switches import Switches
from sandbox.clock import Clock

Fate = Literal["pending", "delivered", "failed", "dropped", "disabled"]

KEPT, FIRST_HOOK, MOST_HOOKS = 100_000, 700_001, 100
GLANCE_S = 0.02
VALID = range(100, 300)
NO_CONNECTION, TIMED_OUT = 0, 499
# Seconds before the attempts after the first; the last two are for a receiver that is down.
PAUSES_S = (300.0, 900.0, 900.0, 3_600.0)
PAUSES_OF_ANY = 2


@dataclass(slots=True, order=True)
class Delivery:
    """One POST to one hook, ordered by when it is due; `codes` are the answers so far."""

    due: float
    seq: int
    hook_id: int = field(compare=False)
    destination: str = field(compare=False)
    items: list[Item] = field(compare=False)
    switches: Switches = field(compare=False)
    origin: str = field(compare=False)
    fate: Fate = field(compare=False, default="pending")
    codes: list[int] = field(compare=False, default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "hook_id": self.hook_id,
            "destination": self.destination,
            "settings": [item.setting for item in self.items],
            "fate": self.fate,
            "codes": self.codes,
            "body": encoded(self.items, self.switches, self.origin),
        }


class Outgoing:
    """Hooks, deliveries, and the thread that sends them; it starts with the first hook."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_stopped = False
        self.reset()

    def reset(self) -> None:
        with self._wake:
            self._hooks: dict[int, dict[str, Any]] = {}
            self._hook_ids, self._seqs = itertools.count(FIRST_HOOK), itertools.count(1)
            self._queue: list[Delivery] = []
            self._log: deque[Delivery] = deque(maxlen=KEPT)
            self._invalid: dict[int, deque[float]] = {}
            self._waiting: dict[int, Delivery] = {}
            self._seed(0)

    def stop(self) -> None:
        with self._wake:
            self._is_stopped = True
            self._wake.notify()
        if self._thread:
            self._thread.join()

    # Hooks.

    def hooks(self) -> list[dict[str, Any]]:
        with self._wake:
            return [dict(hook) for hook in self._hooks.values()]

    def subscribe(self, destination: str, settings: Sequence[str], *, sort: int = 10, by: int = 0) -> dict[str, Any]:
        """A new hook, or the one of this destination with other settings, enabled again. Raises OverflowError."""
        now = int(self._clock.now().timestamp())
        with self._wake:
            held = next((hook for hook in self._hooks.values() if hook["destination"] == destination), None)
            if held is None and len(self._hooks) >= MOST_HOOKS:
                raise OverflowError(MOST_HOOKS)
            hook = held or {
                "id": next(self._hook_ids),
                "destination": destination,
                "created_at": now,
                "account_id": ACCOUNT_ID,
                "created_by": by,
            }
            hook |= {"updated_at": now, "sort": sort, "disabled": False, "settings": list(settings)}
            self._hooks[hook["id"]] = hook
            self._invalid[hook["id"]] = deque()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="amocrm-webhooks", daemon=True)
                self._thread.start()
            return dict(hook)

    def unsubscribe(self, hook_id: int | None = None) -> None:
        """One hook, or all; raises KeyError."""
        with self._wake:
            for one in list(self._hooks) if hook_id is None else [hook_id]:
                del self._hooks[one]

    # Deliveries.

    def deliveries(self, since: int = 0) -> list[Delivery]:
        with self._wake:
            return [delivery for delivery in self._log if delivery.seq > since]

    def repeat(self, seq: int) -> None:
        """Send one once more, whatever became of it; raises KeyError."""
        with self._wake:
            found = next((delivery for delivery in self._log if delivery.seq == seq), None)
            if found is None:
                raise KeyError(seq)
            self._push(replace(found, due=self._clock.elapsed(), seq=next(self._seqs), fate="pending", codes=[]))

    def emit(self, items: list[Item], switches: Switches, origin: str) -> None:
        """To every hook that wants any of them. Only queues, because the caller holds the account's lock."""
        if not items:
            return
        with self._wake:
            if switches.hook_seed != self._dice_seed:
                self._seed(switches.hook_seed)
            for hook in self._hooks.values():
                wanted = [item for item in items if item.setting in hook["settings"]]
                if not hook["disabled"]:
                    self._gather(hook, wanted, switches, origin)

    def _gather(self, hook: dict[str, Any], items: list[Item], switches: Switches, origin: str) -> None:
        """Into the first POST to this hook that has not left yet and has room, then into new ones."""
        left = list(items)
        if not switches.hook_shuffle_s and (last := self._waiting.get(hook["id"])):
            room = max(0, switches.hook_batch - len(last.items))
            last.items, left = [*last.items, *left[:room]], left[room:]
        for first in range(0, len(left), switches.hook_batch):
            due = self._clock.elapsed() + switches.hook_delay_s + self._dice.random() * switches.hook_shuffle_s
            part = left[first : first + switches.hook_batch]
            delivery = Delivery(due, next(self._seqs), hook["id"], hook["destination"], part, switches, origin)
            if self._happens(switches.hook_drop_share):
                delivery.fate = "dropped"
                self._log.append(delivery)
                continue
            self._push(delivery)
            self._waiting[hook["id"]] = delivery
            if self._happens(switches.hook_repeat_share):
                self._push(replace(delivery, seq=next(self._seqs), codes=[]))

    def _push(self, delivery: Delivery) -> None:
        self._log.append(delivery)
        heapq.heappush(self._queue, delivery)
        self._wake.notify()

    def _happens(self, share: float) -> bool:
        return share > 0 and self._dice.random() < share

    def _seed(self, seed: int) -> None:
        self._dice_seed, self._dice = seed, random.Random(seed)

    def _run(self) -> None:
        while (delivery := self._next()) is not None:
            code = send(delivery)
            with self._wake:
                self._settle(delivery, code)

    def _next(self) -> Delivery | None:
        """Waits for one that is due; None when it is time to stop."""
        with self._wake:
            while not self._is_stopped:
                if self._queue and self._queue[0].due <= self._clock.elapsed():
                    delivery = heapq.heappop(self._queue)
                    if self._waiting.get(delivery.hook_id) is delivery:
                        del self._waiting[delivery.hook_id]
                    hook = self._hooks.get(delivery.hook_id)
                    if hook is not None and not hook["disabled"]:
                        return delivery
                    delivery.fate = "disabled"
                    continue
                self._wake.wait(GLANCE_S if self._queue else None)
            return None

    def _settle(self, delivery: Delivery, code: int) -> None:
        delivery.codes = [*delivery.codes, code]
        if code in VALID:
            delivery.fate = "delivered"
            return
        self._count_invalid(delivery)
        number = len(delivery.codes) - 1
        is_last = number >= len(PAUSES_S) or (number >= PAUSES_OF_ANY and code != TIMED_OUT and code < 500)  # noqa: PLR2004
        if is_last:
            delivery.fate = "failed"
            return
        delivery.due = self._clock.elapsed() + PAUSES_S[number] * delivery.switches.hook_time_scale
        heapq.heappush(self._queue, delivery)

    def _count_invalid(self, delivery: Delivery) -> None:
        hook, now, switches = self._hooks.get(delivery.hook_id), self._clock.elapsed(), delivery.switches
        if hook is None:
            return
        invalid = self._invalid[hook["id"]]
        invalid.append(now)
        while now - invalid[0] > switches.hook_disable_window_s * switches.hook_time_scale:
            invalid.popleft()
        hook["disabled"] = hook["disabled"] or len(invalid) > switches.hook_disable_after


def send(delivery: Delivery) -> int:
    """One POST without redirects; the status, 499 for no answer in time, 0 for no connection."""
    switches, address = delivery.switches, urlsplit(delivery.destination)
    connect = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = connect(str(address.hostname), address.port, timeout=switches.hook_timeout_s)
    path = f"{address.path or '/'}?{address.query}" if address.query else address.path or "/"
    headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "amoCRM-Webhooks/3.0"}
    try:
        connection.request("POST", path, encoded(delivery.items, switches, delivery.origin), headers)
        return connection.getresponse().status
    except TimeoutError:
        return TIMED_OUT
    except (OSError, HTTPException):
        return NO_CONNECTION
    finally:
        connection.close()
