"""Join requests as devices and gateways make them."""

from collections.abc import Callable

import pytest

from device_sdk.identity import Identity
from device_sdk.wire import cose
from device_sdk.wire.join_request import JoinRequest
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.limits import READER_KEY_VALIDITY
from tests.support.envelopes import made_up_key

NOW = 1_800_000_000

MakeRequest = Callable[..., bytes]


@pytest.fixture
def device_request() -> MakeRequest:
    """Return a maker of devices' join requests."""
    reader_keys: dict[str, bytes] = {}

    def make(
        name: str,
        identity: Identity | None = None,
        *,
        valid_from: int = NOW - 60,
        validity: int = READER_KEY_VALIDITY,
        stated_for: str = "",
        key_of: str = "",
    ) -> bytes:
        identity = identity or Identity.generate()
        statement = KeyStatement(
            device=stated_for or name,
            spki=reader_keys.setdefault(key_of or name, made_up_key()),
            not_before=valid_from,
            not_after=valid_from + validity,
            serial=valid_from,
        )
        request = JoinRequest(
            name=name,
            identity_spki=identity.spki,
            time=NOW - 60,
            key_statement=cose.sign(statement, identity, cose.FLEETLESS_AAD),
        )
        return cose.sign(request, identity, cose.FLEETLESS_AAD)

    return make


@pytest.fixture
def gateway_request() -> MakeRequest:
    """Return a maker of gateways' join requests."""

    def make(name: str, identity: Identity | None = None) -> bytes:
        identity = identity or Identity.generate()
        request = JoinRequest(name=name, identity_spki=identity.spki, time=NOW - 60)
        return cose.sign(request, identity, cose.FLEETLESS_AAD)

    return make
