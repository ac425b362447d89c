"""Whether Stripe is asked is the operator's decision, said by two settings together."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from pagemill.payments import (
    ManualSetupIntents,
    StripeSetupIntents,
    check_stripe,
    open_setup_intents,
)
from pagemill.settings import Settings, SettingsError

BY_HAND = Settings(database_url="postgresql://unused", objects_url="file:///unused")
KEYS = {"stripe_secret_key": "sk_test_1", "stripe_publishable_key": "pk_test_1"}


async def test_with_both_keys_stripe_is_asked() -> None:
    settings = msgspec.structs.replace(BY_HAND, **KEYS)
    check_stripe(settings)
    opened = open_setup_intents(settings)
    assert isinstance(opened, StripeSetupIntents)
    assert opened.publishable_key == "pk_test_1"
    await opened.close()


async def test_without_keys_a_human_is() -> None:
    check_stripe(BY_HAND)
    opened = open_setup_intents(BY_HAND)
    assert isinstance(opened, ManualSetupIntents)
    await opened.abandon("seti_1")
    await opened.close()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"stripe_secret_key": "sk_test_1"}, "PAGEMILL_STRIPE_PUBLISHABLE_KEY"),
        ({"stripe_publishable_key": "pk_test_1"}, "PAGEMILL_STRIPE_SECRET_KEY"),
        ({**KEYS, "stripe_api_base": "stripe.com"}, "PAGEMILL_STRIPE_API_BASE"),
    ],
)
def test_half_a_configuration_is_refused(changes: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named) as raised:
        check_stripe(msgspec.structs.replace(BY_HAND, **changes))
    assert "sk_test_1" not in raised.value.message


def test_stripe_is_imported_only_where_it_is_used() -> None:
    program = "import sys, pagemill.api.app; print('stripe' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
