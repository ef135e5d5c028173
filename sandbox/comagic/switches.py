"""What an account may do one way or the other: its settings, and everything facts/comagic.md marks as unverified."""

from dataclasses import dataclass

from sandbox.switches import choice


@dataclass(frozen=True, slots=True)
class Switches:
    # Settings of an account (facts/comagic.md §2, §3, §5, §10).
    token: str = "sandbox-comagic-token"  # noqa: S105 - the sandbox's own, known to everybody
    token_state: str = choice("active", "expired", "blocked")
    login: str = "sandbox"
    password: str = "sandbox-comagic-password"  # noqa: S105
    account_active: bool = True
    is_agent: bool = False
    ip_list: tuple[str, ...] = ("0.0.0.0/0",)
    component_enabled: bool = True
    minute_limit: int = 60
    day_limit: int = 3000
    timezone: str = "Europe/Moscow"
    with_funnel: bool = True
    api_version_block: bool = False
    processing_delay_s: float = 0.0

    # Unverified: envelope, errors and metadata (§1, §3, §11).
    error_status: int = choice(200, 400, 422)
    error_id: str = choice("echo", "null")
    batch_mnemonic: str = choice("batch_opreations_not_supported", "batch_operations_not_supported")
    missing_token: str = choice("required_parameter_missed", "access_token_invalid")
    index_in_field: str = choice("none", "dotted", "brackets")
    metadata: str = choice("always", "get_only", "empty_limits")
    error_metadata: str = choice("limits", "empty_limits", "absent")
    account_metadata_key: str = choice("metadata", "meta_data")
    expire_key: str = choice("expire_at", "expire")
    login_points: int = choice(1, 0)
    limit_type: str = "{window}"
    day_window: str = choice("first_call", "midnight")
    too_many_items: str = choice("data_limit_exceeded", "invalid_parameter_value")
    empty_required: str = choice("refused", "accepted")

    # Unverified: contacts (§6, §12).
    contacts_atomic: bool = True
    duplicate_field: str = choice("contacts.ext_id", "ext_id")
    plus_in_phones: str = choice("accepted", "refused")
    unique_phones: bool = False
    contact_user_fields: str = choice("refused", "stored")

    # Unverified: deals (§5, §8).
    dates_in: str = choice("account", "UTC")
    date_mnemonic: str = choice("invalid_date_time", "invalid_parameter_value")
    pair_mnemonic: str = choice("invalid_parameters_combination", "required_parameter_missed")
    unknown_reference: str = choice("entity_not_found", "invalid_parameter_value")
    closed_on_open_stage: str = choice("ignored", "refused")
    generated_stages: str = choice("between", "from_first", "none")
    same_stage_row: str = choice("merged", "added")
    omitted_in_row: str = choice("cleared", "kept")
    link_change_needs: str = choice("either", "both")
