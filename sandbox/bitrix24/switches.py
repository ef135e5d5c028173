"""What a portal may do one way or the other: plan, settings, and everything the fact sheet marks as unverified."""

from dataclasses import dataclass

from sandbox.switches import choice


@dataclass(frozen=True, slots=True)
class Switches:
    # Settings of a portal (facts/bitrix24.md §1, §2).
    rate_profile: str = choice("standard", "enterprise", "off")
    server_offset: str = "+03:00"
    user_offset: str = "+03:00"
    secret: str = "sandboxsecret00"  # noqa: S105 - the sandbox's own, known to everybody
    scopes: tuple[str, ...] = ("crm", "user")
    owner_active: bool = True
    https_required: bool = False
    hidden_assignees: tuple[int, ...] = ()
    id_step: int = 2
    domain: str = "sandbox.bitrix24.example"
    member_id: str = "5a6d6c1e2f3b4a5968778695a4b3c2d1"
    operating_reported: bool = True
    operating_cost_s: float = 0.05
    operating_limit_s: float = 0.0

    # Unverified: limits and errors (§2, §3.2, §4).
    rejected_requests_count: bool = False
    batch_charges: str = choice("methods", "batch", "both")
    wrong_secret_status: int = choice(401, 403)
    missing_scope_status: int = choice(401, 403)
    unknown_method_status: int = choice(404, 400)
    unresolved_reference: str = choice("empty", "literal")

    # Unverified: lists (§5).
    unknown_filter_key: str = choice("ignored", "error")
    unparsable_date: str = choice("no_rows", "ignored")
    filter_zone: str = choice("server", "user")
    not_like_in_classic: bool = True
    next_on_full_page: bool = False
    phone_in_default_select: bool = False
    empty_multifield: str = choice("absent", "list")
    empty_multiple_uf: str = choice("list", "false")
    empty_single_uf: str = choice("string", "null")
    empty_reference: str = choice("null", "zero")
    enumeration_as: str = choice("int", "string")
    list_lag_s: float = 0.0

    # Unverified: writes (§5.3, §7, §11).
    noop_update_touches: bool = True
    productrows_touch: bool = False
    discount_sum: str = choice("without_tax", "with_tax")
    closed_derived: bool = True
    merge_touches_deals: bool = False
    delete_unbinds_deals: bool = True
    links_touch: bool = False
    link_error_status: int = choice(400, 200)
    duplicate_phones: str = choice("digits", "exact")

    # Outgoing webhooks (§10): the vendor promises neither order nor delivery.
    event_delay_s: float = 0.0
    event_reorder_s: float = 0.0
    event_drop_share: float = 0.0
    event_duplicate_share: float = 0.0
    event_seed: int = 0
    event_timeout_s: float = 5.0
    event_user_agent: str = "Bitrix24 Webhook Engine"

    # The universal methods (§7.4): a ticket of the vendor, and reports that nobody could confirm.
    item_clears_multiple_enum: bool = False
    item_clears_company: bool = True
    item_filter_offset: str = choice("honoured", "ignored")
