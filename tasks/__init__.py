"""VERBS: what happens to a record, from the poll that sees it to the note that tells of it. Read flows.py first."""
