"""The text for the manager."""

from marshmallow import ValidationError

from mappings.outcome import LONGEST_NOTE, told


def test_messages_are_joined_in_their_order_and_once():
    assert told(ValidationError({"B": ["второе", "третье"], "A": ["первое", "второе"]})) == "второе; третье; первое"


def test_messages_without_fields_and_nested_ones_are_told_too():
    assert told(ValidationError("одно")) == "одно"
    assert told(ValidationError({"rows": {0: {"PRICE": ["цена"]}}, "_schema": ["строка"]})) == "цена; строка"


def test_the_limit_itself_fits():
    assert told(ValidationError(["я" * LONGEST_NOTE])) == "я" * LONGEST_NOTE


def test_a_long_text_is_cut_between_messages():
    assert told(ValidationError(["а" * 100, "б" * 100, "в" * 100])) == f"{'а' * 100}; {'б' * 100}; …"


def test_the_ellipsis_counts_too():
    text = told(ValidationError(["а" * 100, "б" * 153, "в"]))
    assert text == f"{'а' * 100}; …"


def test_one_message_that_is_too_long_is_cut_inside():
    assert told(ValidationError(["я" * 300])) == "я" * (LONGEST_NOTE - 1) + "…"
    assert len(told(ValidationError(["я" * 300, "б"]))) == LONGEST_NOTE
