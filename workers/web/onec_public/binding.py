"""`POST /sync/base`: a base says where it wants to be called (brief 001 §2.2). Who could rebind one would be sent its
customers, so another address than the known one waits for an operator: `parom base approve`.
"""

import logging
from http import HTTPStatus

from connectors import onec_handlers_base
from connectors.base import Malformed
from workers.web.onec_public.envelope import Code, Failure
from workers.web.onec_public.means import Call

log = logging.getLogger("parom.audit")


def bind(call: Call) -> None:
    """Raises Failure for an address that may never be called, and while an operator's word is awaited."""
    body = call.body
    try:
        base = onec_handlers_base.registered(
            web_address=body["web_address"],
            url_address=body["url_address"],
            login=body["param1"],
            password=body["param2"],
        )
        fate = onec_handlers_base.propose(call.means.vault, call.base.config, base, resolve=call.means.resolve)
    except Malformed as error:
        raise Failure(Code.BAD_REQUEST, str(error), status=HTTPStatus.UNPROCESSABLE_ENTITY) from None
    words = {"base": call.base.name, "host": base.address.host}
    if fate == "pending":
        log.error("a base wants another address: `parom base show %s`", call.base.name, extra={**words, "alert": True})
    if fate in ("pending", "still pending"):
        raise Failure(Code.CONFLICT, "the address waits for the operator's approval; nothing has changed")
    if fate == "bound":
        log.warning("a base was bound", extra=words)
