"""The vendor's errors (facts/comagic.md §11): dispatched on by mnemonic, because the codes are not unique."""

from typing import Any

WRONG_PARAMETERS = -32602
CODES: dict[str, tuple[int, str]] = {
    "parse_error": (-32700, "Parse error"),
    "invalid_request": (-32600, "Invalid request"),
    "batch_opreations_not_supported": (-32099, "Batch operations not supported"),
    "batch_operations_not_supported": (-32099, "Batch operations not supported"),
    "notifications_not_supported": (-32099, "Notifications not supported"),
    "method_not_found": (-32601, "Method not found"),
    "auth_error": (-32001, "Login or password is wrong"),
    "access_token_invalid": (-32001, "Access token is invalid"),
    "access_token_expired": (-32001, "Access token has been expired"),
    "access_token_blocked": (-32001, "Access token has been blocked"),
    "ip_not_whitelisted": (-32003, "Your IP is not whitelisted"),
    "forbidden": (-32003, "Permission denied"),
    "account_inactive": (-32009, "The account is inactive"),
    "method_component_disabled": (-32008, "The component of the method is disabled"),
    "parameter_component_disabled": (-32008, "The component of the parameter is disabled"),
    "limit_exceeded": (-32029, "Limit has been exceeded"),
    "internal_error": (-32603, "Internal error"),
    "data_type_error": (WRONG_PARAMETERS, "Invalid data type"),
    "required_parameter_missed": (WRONG_PARAMETERS, "The required parameter has been missed"),
    "invalid_parameter_value": (WRONG_PARAMETERS, "Invalid parameter value"),
    "unexpected_parameters": (WRONG_PARAMETERS, "Unexpected method parameter(s)"),
    "invalid_parameters_combination": (WRONG_PARAMETERS, "Invalid parameters combination"),
    "invalid_date_time": (WRONG_PARAMETERS, "Invalid date time"),
    "duplicate_entity": (WRONG_PARAMETERS, "Duplicate entity"),
    "already_in_use": (WRONG_PARAMETERS, "The value is already in use"),
    "entity_not_found": (WRONG_PARAMETERS, "Entity not found"),
    "dependency_error": (WRONG_PARAMETERS, "The entity is used by other entities"),
    "data_limit_exceeded": (WRONG_PARAMETERS, "Data limit has been exceeded"),
    "tariff_restrictions": (WRONG_PARAMETERS, "The tariff does not allow this"),
    "campaign_is_inactive": (WRONG_PARAMETERS, "The campaign is inactive"),
    "sort_prohibited": (WRONG_PARAMETERS, "Sort by the field is prohibited"),
    "filter_prohibited": (WRONG_PARAMETERS, "Filter by the field is prohibited"),
    "date_interval_limit_reached": (WRONG_PARAMETERS, "Date interval limit has been reached"),
    "error": (WRONG_PARAMETERS, "Error"),
}
UNSENT = object()


class Refusal(Exception):
    """Raised with the path from where it was noticed; whoever looked into a list or an object adds `within`.

    `kept` holds the positions of those rows of the call that stay written all the same.
    """

    def __init__(
        self,
        mnemonic: str,
        *path: str | int,
        value: Any = UNSENT,
        message: str = "",
        params: dict[str, Any] | None = None,
        kept: frozenset[int] = frozenset(),
    ) -> None:
        super().__init__(mnemonic)
        self.mnemonic = mnemonic
        self.path = path
        self.value = value
        self.message = message
        self.params = params or {}
        self.kept = kept

    def within(self, *outer: str | int) -> "Refusal":
        self.path = (*outer, *self.path)
        return self

    def error(self, *, index_in_field: str) -> dict[str, Any]:
        """The JSON-RPC error object, its data without metadata."""
        code, message = CODES.get(self.mnemonic, CODES["internal_error"])
        data: dict[str, Any] = {"mnemonic": self.mnemonic}
        if self.path:
            data["field"] = _dotted(self.path, index_in_field)
        if self.value is not UNSENT:
            data["value"] = self.value
        data |= {"params": self.params, "extended_helper": None}
        return {"code": code, "message": self.message or message, "data": data}


def limit_exceeded(window: str, limit: int, limit_type: str) -> Refusal:
    return Refusal(
        "limit_exceeded",
        message=f"Limit per {window} has been exceeded. Value of current limit per {window} is {limit}",
        params={"limit_type": limit_type.replace("{window}", window), "limit_max_value": limit},
    )


def _dotted(path: tuple[str | int, ...], index_in_field: str) -> str:
    if index_in_field == "brackets":
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return ".".join(str(part) for part in path if index_in_field == "dotted" or not isinstance(part, int))
