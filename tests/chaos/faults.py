"""Every fault of the catalogue: how it begins, how long it lasts, how it ends. What it hits is drawn from the seed."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.arena import LATEST_WRITE, Arena
from tests.chaos.crew import Post
from tests.chaos.seams import NAMED

Undo = Callable[[], bool]
"""Ends a fault; whether it hit anything."""
LONGEST_FREEZE = 6.0
SYSTEMS = ("bitrix24", "otmechalka", "onec", "comagic", "amocrm", "onec_handlers")
ORDER_STANDS = 6.0
"""Seconds for which somebody may come to the seam of an order."""


@dataclass(frozen=True)
class Fault:
    """`begin` returns what ends it, or None if there is nobody to hit just now. Faults of one `group` take turns."""

    name: str
    begin: Callable[[Arena], Undo | None]
    seconds: tuple[float, float] = (0.0, 0.0)
    group: str = ""
    weight: int = 1
    databases: tuple[str, ...] = ("sqlite", "postgresql")
    kills_a_worker: bool = False


def _over() -> bool:
    return True


def _then(end: Callable[[], object]) -> Undo:
    """Ends the fault so, and it has hit."""

    def undo() -> bool:
        end()
        return True

    return undo


# --- processes ---


def _of(arena: Arena, role: str) -> Post | None:
    posts = arena.crew.of(role)
    return arena.dice.choice(posts) if posts else None


def _kill(role: str) -> Callable[[Arena], Undo | None]:
    def begin(arena: Arena) -> Undo | None:
        post = _of(arena, role)
        if post is None:
            return None
        arena.crew.kill(post)
        return _over

    return begin


def _freeze(role: str) -> Callable[[Arena], Undo | None]:
    def begin(arena: Arena) -> Undo | None:
        post = _of(arena, role)
        if post is None:
            return None
        arena.crew.freeze(post)
        return _then(lambda: arena.crew.thaw(post))

    return begin


def _end_worker(arena: Arena) -> Undo | None:
    post = _of(arena, "worker")
    if post is None:
        return None
    arena.crew.end(post)
    return _over


def _wrong_clock(arena: Arena) -> Undo | None:
    """A worker on a host whose clock is an hour wrong."""
    post = _of(arena, "worker")
    if post is None:
        return None
    post.environ["CHAOS_CLOCK"] = str(arena.dice.choice((-3600, 3600)))
    arena.crew.kill(post)

    def undo() -> bool:
        post.environ["CHAOS_CLOCK"] = "0"
        if post.fell_at is None:
            arena.crew.kill(post)
        return True

    return undo


# --- seams ---


def _order(seam: str, act: str) -> Callable[[Arena], Undo]:
    def begin(arena: Arena) -> Undo:
        order = arena.crew.order(seam, act)

        def undo() -> bool:
            arena.crew.withdraw(order)
            is_obeyed = arena.crew.is_obeyed(order)
            if act == "stop" and is_obeyed:
                arena.crew.thaw_by_order(order)
            return is_obeyed

        return undo

    return begin


# --- Redis ---


def _redis_killed(arena: Arena) -> Undo:
    arena.redis.kill()
    return _then(arena.redis.start)


def _redis_emptied(arena: Arena) -> Undo:
    arena.redis.kill()
    arena.redis.forget()
    return _then(arena.redis.start)


def _redis_paused(arena: Arena) -> Undo:
    arena.redis.pause()
    return _then(arena.redis.go_on)


def _flushall(arena: Arena) -> Undo:
    arena.flush_redis()
    return _over


# --- PostgreSQL ---


def _postgres_killed(arena: Arena) -> Undo:
    arena.postgres.kill()
    return _then(arena.postgres.start)


def _postgres_stopped(arena: Arena) -> Undo:
    arena.postgres.stop_at_once()
    return _then(arena.postgres.start)


# --- links ---


def _link(name: str, change: Callable[..., None]) -> Callable[[Arena], Undo]:
    def begin(arena: Arena) -> Undo:
        link = arena.links[name]
        change(arena, link)
        return _then(link.calm)

    return begin


WEATHER = {
    "slow": lambda arena, link: link.delay(arena.dice.uniform(0.02, 0.2)),
    "reset": lambda _, link: link.reset(),
    "refusing": lambda _, link: link.refuse(),
    "half open": lambda _, link: link.half_open(),
    # Fast enough that no request is still on its way when its caller has long given up.
    "dripping": lambda _, link: link.drip(20_000),
    "cut": lambda arena, link: link.cut(arena.dice.randrange(0, 400)),
}

# --- outside systems ---


def _answer(system: str, match: str = "", **action) -> Callable[[Arena], Undo]:
    """A few requests are answered badly."""

    def begin(arena: Arena) -> Undo:
        times = arena.dice.randrange(1, 8)
        fault = arena.sandbox.post("/faults", system=system, match=match, times=times, **action)
        return lambda: arena.disarm(fault["id"])

    return begin


ANSWERS = {
    "500": {"action": "status", "status": 500},
    "502 after the write": {"action": "status", "status": 502, "commit": True},
    "429": {"action": "throttle"},
    "HTML with 200 after the write": {"action": "html", "commit": True},
    "cut JSON": {"action": "truncated"},
    "JSON of the wrong type": {"action": "wrong_type"},
    "reset before the write": {"action": "reset_before"},
    "reset after the write": {"action": "reset_after"},
    "no answer after the write": {"action": "hang"},
    "no answer": {"action": "hang", "commit": False},
    "dripping answer": {"action": "slow", "bytes_per_s": 20},
    "an error in 200": {"action": "error"},
}
THEIR_WORD = {("onec_handlers", "an error in 200")}
"""Answers that are a system's own way to refuse a record: nobody should bring it again."""
LATE = {"action": "latency", "before_s": LATEST_WRITE}


def _source_clock(arena: Arena) -> Undo:
    """The source's clock runs ahead and is set back. An edit stamped below a window that was read is beyond anybody."""
    arena.sandbox.post("/clock", offset_s=arena.dice.choice((120, 600)))
    return _then(lambda: arena.sandbox.post("/clock", offset_s=0))


CRASHES = [
    Fault(f"killed: {name}", _order(seam, "kill"), (0, ORDER_STANDS), kills_a_worker=True)
    for name, seam in NAMED.items()
]
FREEZES = [
    Fault(f"frozen: {name}", _order(NAMED[name], "stop"), (3.0, LONGEST_FREEZE), "freeze", weight=3)
    for name in (
        "after the claim",
        "after the find",
        "after the intent, before sending",
        "sent, not yet answered",
        "answered, not yet finished",
        "note claimed",
        "cursor moved, rows not stored",
        "page committed, nothing published",
    )
]
FAULTS: tuple[Fault, ...] = (
    Fault("worker killed", _kill("worker"), weight=12, kills_a_worker=True),
    Fault("beat killed", _kill("beat"), weight=2),
    Fault("web killed", _kill("web"), weight=2),
    Fault("worker frozen", _freeze("worker"), (0.5, LONGEST_FREEZE), "freeze", weight=4),
    Fault("beat frozen", _freeze("beat"), (0.5, LONGEST_FREEZE), "freeze"),
    Fault("worker restarted", _end_worker, weight=2),
    Fault("worker's clock an hour wrong", _wrong_clock, (4.0, 8.0), "clock", databases=("postgresql",)),
    *CRASHES,
    *FREEZES,
    Fault("Redis killed", _redis_killed, (0.0, 3.0), "redis"),
    Fault("Redis restarted empty", _redis_emptied, (0.0, 3.0), "redis"),
    Fault("Redis paused", _redis_paused, (0.5, 5.0), "redis"),
    Fault("FLUSHALL", _flushall, group="redis", weight=3),
    Fault("PostgreSQL killed", _postgres_killed, (0.0, 2.0), "database", databases=("postgresql",)),
    Fault("PostgreSQL stopped at once", _postgres_stopped, (0.0, 2.0), "database", databases=("postgresql",)),
    *(
        Fault(f"link to {name} {how}", _link(name, change), (0.2, 3.0), name)
        for name in ("redis", "web", *SYSTEMS)
        for how, change in WEATHER.items()
    ),
    *(
        Fault(
            f"link to database {how}",
            _link("database", WEATHER[how]),
            (0.2, 2.0),
            "database",
            databases=("postgresql",),
        )
        for how in ("slow", "reset", "refusing", "half open")
    ),
    *(
        Fault(f"{system}: {how}", _answer(system, **action), (1.0, 4.0), f"answers of {system}")
        for system in SYSTEMS
        for how, action in ANSWERS.items()
        if (system, how) not in THEIR_WORD
    ),
    *(
        Fault(f"{system}: writes late", _answer(system, **LATE), (1.0, 4.0), f"answers of {system}", weight=4)
        for system in ("otmechalka", "comagic", "amocrm", "onec_handlers")
    ),
    *(
        # Most of what it is asked for are pages.
        Fault(
            f"amocrm: {how}, of writes",
            _answer("amocrm", "^(POST|PATCH)", **ANSWERS[how]),
            (2.0, 5.0),
            "answers of amocrm",
            weight=3,
        )
        for how in ("502 after the write", "reset after the write", "no answer after the write")
    ),
    Fault(
        "bitrix24: repeats and moves rows",
        _answer("bitrix24", action="repeat_rows", unless_has="OWNER_TYPE"),
        (1.0, 4.0),
        "answers of bitrix24",
        weight=3,
    ),
    Fault("source clock jumps", _source_clock, (1.0, 4.0), "source clock"),
)
