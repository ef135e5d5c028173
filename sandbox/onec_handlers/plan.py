"""What the exchange is asked to do in one round."""

from dataclasses import dataclass

BATCH = 100
TIMEOUT_S = 30.0
MOST_THREADS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`url` is the root of our service; `key`, `id_base` and `web_address` are the base's own unless given.

    batch          entries are read from the outbox so many at a time
    limit          at most so many entries in this round
    shuffle        seed of a random order between objects, within a batch
    repeat         share of the requests that are sent twice; `repeat_at_once`: both at the same moment
    legacy_orders  orders go where the brief misprints their path
    drop_refused   an entry that our service refuses for good leaves the outbox, too
    register       introduce the base first, and go no further if our service does not take it
    """

    url: str
    token: str | None = None
    login: str | None = None
    password: str | None = None
    key: int | str | None = None
    id_base: str | None = None
    web_address: str | None = None
    register: bool = False
    batch: int = BATCH
    limit: int | None = None
    shuffle: int | None = None
    repeat: float = 0.0
    repeat_at_once: bool = False
    legacy_orders: bool = False
    drop_refused: bool = False
    threads: int = 1
    timeout_s: float = TIMEOUT_S

    def __post_init__(self) -> None:
        if not str(self.url).startswith(("http://", "https://")):
            raise ValueError(f"not an address: {self.url!r}")
        if self.batch < 1 or not 1 <= self.threads <= MOST_THREADS or not 0 <= self.repeat <= 1:
            raise ValueError(f"batch must be positive, threads from 1 to {MOST_THREADS}, repeat a share of 1")
