"""The methods of the Data API by name. A method that is not here does not exist."""

from sandbox.comagic.access import ACCESS
from sandbox.comagic.contacts import CONTACTS
from sandbox.comagic.directories import DIRECTORIES
from sandbox.comagic.funnels import FUNNELS
from sandbox.comagic.history import HISTORY
from sandbox.comagic.method import Method

METHODS: dict[str, Method] = {**ACCESS, **CONTACTS, **HISTORY, **DIRECTORIES, **FUNNELS}
