"""Faults that the admin side arms: which requests they hit and how often; what happens then is an action."""

import itertools
import random
import re
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from sandbox.actions import UNTIL_DISARMED, Effect, effect_of
from sandbox.wire import Request


@dataclass(slots=True, kw_only=True)
class Fault:
    """An armed fault: `match` and `key` are regular expressions, on "METHOD /path" and on path, query and body."""

    id: int
    system: str
    action: str
    params: dict[str, Any]
    effect: Effect
    match: re.Pattern[str]
    key: re.Pattern[str] | None
    times: int | None
    probability: float
    seed: int
    hits: int = 0
    dice: random.Random = field(default_factory=random.Random)

    def fires(self, system: str, request: Request) -> bool:
        if self.system != system or self.times == self.hits or not self.match.search(request.line):
            return False
        if self.key is not None and not self.key.search(_text_of(request)):
            return False
        return self.probability >= 1 or self.dice.random() < self.probability

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "system": self.system,
            "action": self.action,
            "params": self.params,
            "match": self.match.pattern,
            "key": self.key.pattern if self.key else None,
            "times": self.times,
            "probability": self.probability,
            "seed": self.seed,
            "hits": self.hits,
        }


def _text_of(request: Request) -> str:
    raw = f"{request.path} {request.query} {request.body.decode(errors='replace')}"
    return f"{raw}\n{unquote_plus(raw)}"


class Faults:
    """The armed faults, asked in the order of arming; the first that fires is the one that happens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._armed: dict[int, Fault] = {}

    def arm(
        self,
        *,
        system: str,
        action: str,
        match: str = "",
        key: str | None = None,
        probability: float = 1.0,
        seed: int = 0,
        **params: Any,
    ) -> Fault:
        """`times` is 1 unless given, null means until disarmed. Raises ValueError for what cannot be armed."""
        is_lasting = action in UNTIL_DISARMED or probability < 1
        times = params.pop("times", None if is_lasting else 1)
        fault = Fault(
            id=next(self._ids),
            system=system,
            action=action,
            params=params,
            effect=effect_of(action, params),
            match=_pattern(match),
            key=None if key is None else _pattern(key),
            times=times,
            probability=float(probability),
            seed=seed,
            dice=random.Random(seed),
        )
        with self._lock:
            self._armed[fault.id] = fault
        return fault

    def take(self, system: str, request: Request) -> Fault | None:
        """The fault that happens to this request, counted as one hit."""
        if not self._armed:
            return None
        with self._lock:
            for fault in self._armed.values():
                if fault.fires(system, request):
                    fault.hits += 1
                    return fault
        return None

    def armed(self) -> list[Fault]:
        with self._lock:
            return list(self._armed.values())

    def disarm(self, fault_id: int | None = None) -> None:
        """One, or all; raises KeyError for an unknown id."""
        with self._lock:
            if fault_id is None:
                self._armed.clear()
            else:
                del self._armed[fault_id]


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"not a pattern: {text}: {error}") from error
