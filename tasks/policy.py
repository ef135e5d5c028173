"""What happens next: the one table that decides it, for records, for notes and for polls (DESIGN §6).

Connectors and mappings only name what went wrong; nobody else decides.
"""

import random
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from marshmallow import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from connectors.breaker import BreakerOpen
from connectors.errors import ConnectorError, InDoubt, LimitReached, Refused, Rejected, Throttled, Transient
from mappings.outcome import told
from tasks.ledger.records import Ending
from tasks.ledger.tables import State
from tasks.parents import Waiting

FIRST_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(minutes=15)
LONGEST_HOLD = timedelta(minutes=10)
"""A longer wait is the connection's and not the record's: its budget knows when it ends, and dispatch asks that."""
LONGEST_OUTAGE_WAIT = timedelta(minutes=1)
"""What is away is spared by its breaker, and what waited for it must not wait long once it is back."""
SLOW_RETRY = timedelta(hours=6)
"""A refused record may be mended on the target's side, where nobody tells us: it is tried again now and then."""
LIMIT_RETRY = timedelta(hours=1)
PARENT_RETRY = timedelta(hours=1)
"""A landing parent lets its children go at once; this is for what was missed, and for telling the manager."""
PROBE_EVERY = timedelta(seconds=30)
LONGEST_PROBE = timedelta(hours=1)
CRASHES_TO_PARK = 3
IN_DOUBT = "in doubt"


def backoff(attempts: int, *, asked: float | None = None, longest: timedelta = LONGEST_WAIT) -> timedelta:
    """A random share of an exponential ceiling; what the vendor asked for is the least. `attempts` counts from 1."""
    ceiling = min(longest, FIRST_WAIT * 2 ** min(attempts, 20))
    wait = timedelta(seconds=random.uniform(ceiling.total_seconds() / 4, ceiling.total_seconds()))
    return wait if asked is None else timedelta(seconds=asked) + wait / 4


class Unsure(Exception):
    """What was sent may be there, and the target cannot tell: only a person can."""


@dataclass(frozen=True)
class Situation:
    """Of an attempt that failed. `in_doubt`: a write of this or an earlier attempt may be on its way."""

    attempts: int
    settle: timedelta
    in_doubt: bool


Wait = Callable[[Exception, Situation], timedelta | None]


def _by_backoff(error: Exception, situation: Situation) -> timedelta:
    return backoff(situation.attempts, asked=getattr(error, "wait", None), longest=LONGEST_OUTAGE_WAIT)


def _by_vendor(error: Exception, _: Situation) -> timedelta:
    asked = getattr(error, "wait", None)
    return backoff(1, asked=asked and min(asked, LONGEST_HOLD.total_seconds()))


def _till_settled(_: Exception, situation: Situation) -> timedelta:
    return max(situation.settle, backoff(situation.attempts))


def _after(wait: timedelta | None) -> Wait:
    return lambda _error, _situation: wait


@dataclass(frozen=True)
class Rule:
    """What an error makes of a record; the manager is told of those that carry a text for them."""

    state: State
    event: str
    cause: str
    wait: Wait
    counted: bool = True
    in_doubt: bool | None = None
    """Whether a write may be on its way afterwards; None leaves it as it was."""


# The nearest class in the error's ancestry decides.
RULES: Mapping[type[BaseException], Rule] = {
    ValidationError: Rule(State.REJECTED, "rejected", "invalid", _after(None)),
    Rejected: Rule(State.REJECTED, "rejected", "rejected", _after(SLOW_RETRY), in_doubt=False),
    LimitReached: Rule(State.REJECTED, "rejected", "limit reached", _after(LIMIT_RETRY), in_doubt=False),
    Transient: Rule(State.PENDING, "retry", "unavailable", _by_backoff),
    Throttled: Rule(State.PENDING, "held back", "throttled", _by_vendor, counted=False),
    BreakerOpen: Rule(State.PENDING, "held back", "throttled", _by_vendor, counted=False),
    Waiting: Rule(State.WAITING, "waiting", "parent", _after(PARENT_RETRY), in_doubt=False),
    InDoubt: Rule(State.PENDING, IN_DOUBT, IN_DOUBT, _till_settled, in_doubt=True),
    Unsure: Rule(State.PARKED, "parked", IN_DOUBT, _after(None)),
    Refused: Rule(State.PENDING, "refused", "refused", _after(PROBE_EVERY), counted=False),
    SQLAlchemyError: Rule(State.PENDING, "retry", "unavailable", _by_backoff),
    BaseException: Rule(State.PARKED, "parked", "bug", _after(None)),
}


def after_error(error: Exception, situation: Situation) -> Ending:
    """How an attempt that raised `error` ends."""
    rule = next(RULES[kind] for kind in type(error).__mro__ if kind in RULES)
    return Ending(
        state=rule.state,
        event=rule.event,
        cause=rule.cause,
        detail=_detail(error),
        due_in=rule.wait(error, situation),
        counted=rule.counted,
        in_doubt=situation.in_doubt if rule.in_doubt is None else rule.in_doubt,
        told=_told(error, situation),
        told_instead=error.told if isinstance(error, Waiting) else None,
        waits_for=error.parent if isinstance(error, Waiting) else None,
    )


def _told(error: Exception, situation: Situation) -> str | None:
    if isinstance(error, ValidationError):
        return told(error)
    if isinstance(error, Waiting):
        # Most parents land before anybody looks.
        return error.told if error.is_helpless or situation.attempts > 1 else None
    return error.told if isinstance(error, Rejected) else None


def _detail(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return _fields(error)
    if isinstance(error, Unsure):
        return "the answer to a creation was lost, and the target cannot be asked: look there, then resync this record"
    return str(error) if isinstance(error, ConnectorError | Waiting) else _where(error)


def _fields(error: ValidationError) -> str:
    return "wrong fields: " + ", ".join(sorted(map(str, error.messages_dict)))


def _where(error: Exception) -> str:
    # Frames only: the message of a foreign exception may hold what must not be kept.
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    lines = [f"{frame.filename.rsplit('/', 2)[-1]}:{frame.lineno} in {frame.name}" for frame in frames]
    return "\n".join([type(error).__name__, *lines])


@dataclass(frozen=True)
class Retry:
    """When to try again (None: never), whether the flow must pause, and whether this counts as an attempt."""

    again_in: timedelta | None
    pauses: bool = False
    counted: bool = True


def after_poll_error(error: ConnectorError) -> Retry:
    """A poll that could not read: at the vendor's word or the next tick; a refusal pauses the flow."""
    if isinstance(error, Refused):
        return Retry(None, pauses=True)
    wait = error.wait if isinstance(error, Transient) else None
    return Retry(None if wait is None else timedelta(seconds=wait))


def after_note_error(error: ConnectorError, *, attempts: int) -> Retry:
    """A note that could not be written. A record that is gone or refuses its note gets none; the delivery stands."""
    if isinstance(error, Rejected):
        return Retry(None)
    if isinstance(error, Refused):
        return Retry(LONGEST_WAIT)
    if isinstance(error, Throttled | BreakerOpen):
        return Retry(backoff(1, asked=error.wait), counted=False)
    asked = error.wait if isinstance(error, Transient) else None
    return Retry(backoff(attempts, asked=asked, longest=LONGEST_OUTAGE_WAIT))
