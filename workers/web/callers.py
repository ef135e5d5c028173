"""Who may call us, by the configuration."""

from workers.settings import Settings
from workers.web import amocrm_hooks, bitrix24_hooks, inbox
from workers.web.onec_public.bases import bases_of


def are_expected(settings: Settings) -> bool:
    """Whether a web process has anything to do besides telling its health."""
    return any(
        (
            bitrix24_hooks.tokens(settings),
            amocrm_hooks.accounts(settings),
            inbox.pushed_flows(settings),
            bases_of(settings).known,
        )
    )
