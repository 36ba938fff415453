"""The login token: short-lived, for one fleet, and spelled in one way."""

from dataclasses import replace

import pytest

from device_sdk.identity import Identity
from device_sdk.trust import Pin
from device_sdk.wire import cose
from device_sdk.wire.errors import MalformedError, SignatureError, TooLargeError
from device_sdk.wire.limits import CLOCK_SKEW
from device_sdk.wire.login import (
    TOKEN_VALIDITY,
    Login,
    make_token,
    parse_token,
    verify_token,
)

NOW = 1_800_000_000
DEVICE, PIN = Identity.generate(), Pin.from_spki(Identity.generate().spki)


def token() -> str:
    return make_token("hub", audience=PIN.fingerprint, now=NOW, signer=DEVICE, aad=PIN.aad)


def verify(text: str, *, pin: Pin = PIN, key: Identity = DEVICE, now: int = NOW) -> Login:
    return verify_token(
        parse_token(text), key=key.public, audience=pin.fingerprint, now=now, aad=pin.aad
    )


def test_a_device_proves_itself_with_a_token_for_this_fleet() -> None:
    login = verify(token())
    assert (login.name, login.audience) == ("hub", PIN.fingerprint)
    assert login.expires - login.issued == TOKEN_VALIDITY == 300


def test_a_token_holds_from_five_minutes_before_to_five_minutes_after_its_time() -> None:
    text = token()
    for now in (NOW - CLOCK_SKEW, NOW + TOKEN_VALIDITY + CLOCK_SKEW):
        assert verify(text, now=now).name == "hub"
    for now in (NOW - CLOCK_SKEW - 1, NOW + TOKEN_VALIDITY + CLOCK_SKEW + 1):
        with pytest.raises(SignatureError, match="clocks"):
            verify(text, now=now)


def test_nobody_elses_signature_and_no_other_fleet_is_accepted() -> None:
    with pytest.raises(SignatureError):
        verify(token(), key=Identity.generate())
    with pytest.raises(SignatureError):
        verify(token(), pin=Pin.from_spki(Identity.generate().spki))


def test_a_device_cannot_give_itself_more_time() -> None:
    login = replace(verify(token()), expires=NOW + TOKEN_VALIDITY + 1)
    signed = cose.parse_signed(Login, cose.sign(login, DEVICE, PIN.aad))
    with pytest.raises(SignatureError, match="five minutes"):
        verify_token(signed, key=DEVICE.public, audience=PIN.fingerprint, now=NOW, aad=PIN.aad)


def test_a_token_can_be_spelled_in_one_way_only() -> None:
    text = token()
    padding = "=" * (-len(text) % 4)
    others = [
        text + "=",
        text + "==",
        text[:9] + "\n" + text[9:],
        text + " ",
        text[:-1] + "\u00e9",
        text.replace("-", "+").replace("_", "/") if set(text) & {"-", "_"} else text + "+",
        text[:9] + "*" + text[9:],
    ]
    if padding:
        others.append(text + padding)
        # The last character has bits that belong to no byte.
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        others.append(text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1])
    for other in others:
        with pytest.raises(MalformedError):
            parse_token(other)


@pytest.mark.parametrize("text", ["", "=", "A", "AAAA", "\u00e9", "0oA", "A" * 9])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_token(text)


def test_an_oversized_token_is_refused() -> None:
    with pytest.raises(TooLargeError):
        parse_token("0g" + "A" * 20_000)
