"""What both systems show of one person, company or order, whichever row it is read from.

A row that does not tell something, or tells what nobody can read, leaves it out. Views are compared, never sent.
"""

from decimal import Decimal
from typing import Any

from mappings.onec_public.fields import neutral, shortened, whole_roubles
from mappings.onec_public.rows import Values, filled, readable

View = dict[str, Any]


def of_contact(values: Values) -> View | None:
    """Of the phones and e-mails the first, which is all that 1C has room for (facts/onec.md D3 #18)."""
    phones, emails = readable(values, "phone"), readable(values, "email")
    return _view(
        name=_name(values),
        phone=phones[0] if phones else None,
        email=emails[0] if emails else None,
        responsible_user_id=values.get("responsible_user_id"),
    )


def of_company(values: Values) -> View | None:
    return _view(name=_name(values), inn=values.get("inn"), responsible_user_id=values.get("responsible_user_id"))


def of_order(
    price: Decimal | None, *, contact_id: int | None, company_id: int | None, responsible_user_id: int | None
) -> View | None:
    """Not its name: in 1C an order has a number."""
    return _view(
        price=None if price is None else whole_roubles(price),
        contact_id=contact_id,
        company_id=company_id,
        responsible_user_id=responsible_user_id,
    )


def _view(**values: Any) -> View | None:
    return filled(**values) or None


def _name(values: Values) -> str | None:
    name = values.get("name")
    return name and shortened(neutral(name))
