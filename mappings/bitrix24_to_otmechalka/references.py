"""Entries of otmechalka's dictionaries, as brief 003 knows them. An id that it does not know is ""."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reference:
    """An entry of one of otmechalka's dictionaries."""

    id: str = field(metadata={"help": "otmechalka's id; empty while unknown"})
    name: str = field(metadata={"help": "exact name in otmechalka, back-ticks and spaces included"})


BRANCHOFFICES = {
    "online": Reference("2633", "+Он-лайн `МСК"),
    "gogolevsky": Reference("", "+ ЦДШ `МСК"),
    "skolkovo": Reference("", "+ СКОЛКОВО `МСК *"),
}
