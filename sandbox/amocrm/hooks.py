"""Webhooks as the API manages them (facts/amocrm.md §14); the settings name what is told."""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from sandbox.amocrm.call import NOTHING, Answer, Call, Route
from sandbox.amocrm.hookforms import SETTINGS
from sandbox.amocrm.refusal import Refusal, Wrong, invalid
from sandbox.amocrm.sender import Outgoing
from sandbox.bitrix24.php import items_of


def hook_routes(outgoing: Outgoing) -> tuple[Route, ...]:
    def list_(call: Call) -> Answer:
        wanted = {str(one) for one in items_of(call.filter().get("destination"))}
        hooks = [hook for hook in outgoing.hooks() if not wanted or hook["destination"] in wanted]
        links = call.link("webhooks")
        return (
            Answer({"_total_items": len(hooks), "_links": links, "_embedded": {"webhooks": hooks}})
            if hooks
            else NOTHING
        )

    def subscribe(call: Call) -> Answer:
        given = call.object()
        destination, settings = _checked(given)
        taken = destination in {hook["destination"] for hook in outgoing.hooks()}
        if taken and call.switches.hook_same_destination == "refused":
            raise invalid([("0", [Wrong("NotUnique", "destination")])])
        try:
            hook = outgoing.subscribe(destination, settings, sort=given.get("sort") or 10, by=call.author)
        except OverflowError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"Not more than {error} webhooks are allowed.") from None
        return Answer(hook, HTTPStatus.CREATED, (str(hook["id"]),))

    def unsubscribe(call: Call) -> Answer:
        destination = call.object().get("destination")
        found = next((hook["id"] for hook in outgoing.hooks() if hook["destination"] == destination), None)
        if found is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "Webhook not found")
        outgoing.unsubscribe(found)
        return Answer(status=NOTHING.status, keys=(str(found),))

    return (
        Route("GET", "webhooks", list_, "webhooks"),
        Route("POST", "webhooks", subscribe, "webhooks"),
        Route("DELETE", "webhooks", unsubscribe, "webhooks"),
    )


def _checked(given: dict[str, Any]) -> tuple[str, list[str]]:
    """(destination, settings); raises Refusal."""
    destination, settings = given.get("destination"), given.get("settings")
    wrongs = []
    if not is_address(destination):
        wrongs.append(Wrong("FieldMissing" if destination is None else "NotSupportedChoice", "destination"))
    if not isinstance(settings, list) or not settings:
        wrongs.append(Wrong("FieldMissing", "settings"))
    else:
        wrongs += [
            Wrong("NotSupportedChoice", "settings", index)
            for index, setting in enumerate(settings)
            if setting not in SETTINGS
        ]
    if wrongs:
        raise invalid([("0", wrongs)])
    return str(destination), list(settings or ())


def is_address(given: Any) -> bool:
    if not isinstance(given, str):
        return False
    address = urlsplit(given)
    return address.scheme in ("http", "https") and bool(address.hostname)
