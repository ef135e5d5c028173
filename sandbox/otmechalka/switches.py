"""What the proposed API does not say (facts/otmechalka.md §9), the recommended reading as default."""

from dataclasses import dataclass

from sandbox.switches import choice


@dataclass(frozen=True, slots=True)
class Switches:
    token: str = "sandbox-otmechalka-token"  # noqa: S105 - the sandbox's own, known to everybody
    auth_header: str = "Authorization"
    auth_scheme: str = "Token"
    absent: str = choice("404", "null", "empty", "null_id")
    created_status: int = choice(200, 201)
    unique_origin_id: bool = True
    duplicate_status: int = choice(409, 400)
    unknown_client_status: int = choice(400, 404)
    update_method: str = choice("POST", "PUT", "PATCH")
    omitted_optional: str = choice("kept", "cleared")
    ids_only: bool = False
    price_check: bool = True
    client_limit: int = 5000
    limit_status: int = choice(400, 403)
    archived_shown: bool = True
    archived_update: str = choice("refused", "allowed")
    slashless: str = choice("redirect", "404")
    rate_per_s: float = 0.0
    rate_burst: int = 1
    read_lag_s: float = 0.0
