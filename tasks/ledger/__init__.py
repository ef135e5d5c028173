"""The ledger: the SQL tables that alone know what is true of records, cursors, attempts and links."""

from tasks.ledger.database import Ledger

__all__ = ["Ledger"]
