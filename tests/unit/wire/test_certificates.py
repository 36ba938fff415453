"""Certificates that cannot be read: one error, whatever the parser makes of them, and at once."""

from collections.abc import Callable

import pytest

from device_sdk.wire.certificates import (
    authorities,
    decode_certificates,
    encode_certificates,
    first_in_pem,
    from_pem,
    key_of,
    parse_pem,
    to_pem,
    verify_certificates,
)
from device_sdk.wire.errors import MalformedError
from tests.support.certificates import as_pem, unreadable

UNREADABLE = unreadable()


def verify(der: bytes) -> object:
    chain = decode_certificates(encode_certificates([der, der]))
    return verify_certificates(chain, name="hub", identities=[b""], owners=[b""])


READERS: dict[str, Callable[[bytes], object]] = {
    "verify": verify,
    "to pem": lambda der: to_pem([der]),
    "from pem": lambda der: from_pem(as_pem(der)),
    "all of pem": lambda der: parse_pem(as_pem(der)),
    "first of pem": lambda der: first_in_pem(as_pem(der)),
    "key": key_of,
    "authorities": lambda der: authorities([der], [b""]),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("der", UNREADABLE.values(), ids=UNREADABLE)
def test_what_the_parser_refuses_is_malformed(read: Callable[[bytes], object], der: bytes) -> None:
    with pytest.raises(MalformedError):
        read(der)
