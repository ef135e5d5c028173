"""What an account may do one way or the other: its settings, and everything facts/amocrm.md marks as unverified."""

from dataclasses import dataclass

from sandbox.switches import choice


@dataclass(frozen=True, slots=True)
class Switches:
    # Settings of an account and its integration (§1, §5, §6, §8).
    subdomain: str = "sandbox"
    is_api_filter_enabled: bool = True
    timezone: str = "Europe/Moscow"
    contact_name_display_order: int = choice(1, 2)
    duplicate_control: bool = False
    account_state: str = choice("active", "writes_blocked", "unpaid")
    subdomain_state: str = choice("current", "renamed")
    rights: str = choice("full", "read_only", "none")

    # OAuth (§2); `token_state` is that of the long-lived token.
    client_id: str = "5a4d0000-0000-4000-8000-00000000c11e"
    client_secret: str = "sandbox-amocrm-secret"  # noqa: S105 - the sandbox's own, known to everybody
    redirect_uri: str = "https://parom.example/oauth"
    token_state: str = choice("active", "expired", "revoked")
    code_ttl_s: float = 1_200.0
    access_ttl_s: float = 86_400.0
    refresh_ttl_s: float = 90 * 86_400.0
    oauth_error_status: int = choice(400, 401)
    refresh_revokes_access: bool = False
    reuse_revokes_family: bool = False

    # Limits (§3); `other_load_per_s` is what the account's other integrations use of its 50.
    rate_profile: str = choice("standard", "off")
    rate_window: str = choice("sliding", "fixed")
    integration_per_s: int = 7
    account_per_s: int = 50
    other_load_per_s: int = 0
    rejected_requests_count: bool = False
    throttle_body: str = choice("html", "json")
    retry_after_s: int = 1
    retry_after_header: bool = False
    ban_after: int = 50
    ban_window_s: float = 60.0

    # Unverified: lists and search (§5, §12).
    over_limit: str = choice("default", "clamped", "refused")
    range_ends: str = choice("inclusive", "exclusive")
    equal_times: str = choice("by_id", "shuffled")
    next_link_origin: str = ""
    query_phones: str = choice("as_text", "digits")
    search_lag_s: float = 0.0
    fields_page: int = choice(50, 250)

    # Unverified: writes (§4, §6, §8, §9, §10, §15).
    batch_atomic: bool = True
    duplicate_ids: str = choice("last_wins", "refused")
    missing_in_batch: str = choice("refused", "skipped")
    unknown_keys: str = choice("ignored", "refused")
    long_name: str = choice("refused", "trimmed", "kept")
    fractional_price: str = choice("refused", "kept")
    stale_updated_at: str = choice("refused", "ignored")
    status_without_pipeline: str = choice("current_only", "resolves")
    link_touches: str = choice("both", "none")
    missing_link_target: int = choice(404, 400)
    note_touches_entity: bool = False
    duplicate_field_code: str = choice("refused", "accepted")

    # Webhooks (§14): the schedule and what is unverified or not guaranteed.
    hook_timeout_s: float = 2.0
    hook_time_scale: float = 1.0
    hook_batch: int = 20
    hook_delay_s: float = 0.0
    hook_shuffle_s: float = 0.0
    hook_repeat_share: float = 0.0
    hook_drop_share: float = 0.0
    hook_seed: int = 0
    hook_disable_after: int = 100
    hook_disable_window_s: float = 7_200.0
    hook_same_destination: str = choice("updated", "refused")
    hook_companies: str = choice("under_contacts", "under_companies")
    hook_dates: str = choice("scalar", "value", "text")
    hook_delete: str = choice("row", "scalar")
    hook_delete_type: bool = False
    hook_status_pipeline: bool = True
    hook_odd_keys: bool = False
