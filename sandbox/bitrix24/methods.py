"""The methods of the portal by name in lower case. A method that is not here does not exist."""

from sandbox.bitrix24.bindings import BINDINGS
from sandbox.bitrix24.classic import CLASSIC
from sandbox.bitrix24.directories import DIRECTORIES
from sandbox.bitrix24.duplicates import DUPLICATES
from sandbox.bitrix24.feeds import FEEDS
from sandbox.bitrix24.items import ITEMS
from sandbox.bitrix24.method import Method

METHODS: dict[str, Method] = {**CLASSIC, **ITEMS, **BINDINGS, **FEEDS, **DUPLICATES, **DIRECTORIES}
