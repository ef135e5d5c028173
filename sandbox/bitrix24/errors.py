"""The vendor's refusals (facts/bitrix24.md §3.2), raised by methods and turned into answers by the portal."""

from http import HTTPStatus


class Refusal(Exception):
    """`code` may be empty: classic CRM methods answer most mistakes with a text only."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(code or text)
        self.status = int(status)
        self.code = code
        self.text = text

    @property
    def body(self) -> dict[str, str]:
        return {"error": self.code, "error_description": self.text}


def wrong_secret(status: int) -> Refusal:
    return Refusal(status, "INVALID_CREDENTIALS", "Invalid request credentials")


def https_required() -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "INVALID_REQUEST", "Https required")


def owner_blocked() -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, "authorization_error", "Unable to authorize user")


def missing_scope(status: int, *, is_nested: bool) -> Refusal:
    """Inside a batch the description is empty."""
    text = "The request requires higher privileges than provided by the webhook token"
    return Refusal(status, "insufficient_scope", "" if is_nested else text)


def unknown_method(name: str, status: int) -> Refusal:
    """Events exist, but only for applications."""
    if name.startswith("event."):
        return Refusal(HTTPStatus.FORBIDDEN, "WRONG_AUTH_TYPE", "Current authorization type is denied for this method")
    return Refusal(status, "ERROR_METHOD_NOT_FOUND", "Method not found!")


def bad_id() -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "", "ID is not defined or invalid.")


def not_found(status: int = HTTPStatus.BAD_REQUEST) -> Refusal:
    return Refusal(status, "", "Not found")


def company_not_found() -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "", "Company is not found")


def bad_owner(status: int) -> Refusal:
    return Refusal(status, "", "The parameter 'ownerEntityID' is invalid or not defined.")


def no_such_type() -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "NOT_FOUND", "Smart process not found")


def no_element() -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "NOT_FOUND", "Element not found")


def bad_argument(text: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "100", text)


def phrase(code: str, text: str) -> Refusal:
    """Some methods answer with a whole phrase where others have a code."""
    return Refusal(HTTPStatus.BAD_REQUEST, code, text)


def nothing_to_delete() -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "ERROR_CORE", "Element not found")


def not_array(parameter: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "", f"Parameter '{parameter}' must be array.")


def access_denied() -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "", "Access denied.")


def bad_address(address: str) -> Refusal:
    return Refusal(
        HTTPStatus.BAD_REQUEST, "ERROR_CORE", f'The "E-mail" field contains an invalid address: {address}<br>'
    )


def too_many_requests() -> Refusal:
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "QUERY_LIMIT_EXCEEDED", "Too many requests")


def method_blocked() -> Refusal:
    return Refusal(
        HTTPStatus.TOO_MANY_REQUESTS, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit."
    )


def batch_too_long() -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")


def batch_not_allowed() -> Refusal:
    return Refusal(
        HTTPStatus.METHOD_NOT_ALLOWED, "ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage"
    )
