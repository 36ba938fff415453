"""Anonymous messages and tokens on the wire: one form of each, and no other."""

from dataclasses import replace
from typing import Any

import pytest

from device_sdk.wire import cbor, cose
from device_sdk.wire.anonymous_header import AnonymousHeader
from device_sdk.wire.anonymous_rule import AnonymousRule
from device_sdk.wire.epoch_key import EpochKey, TokenKeys
from device_sdk.wire.errors import MalformedError, WireError
from device_sdk.wire.header import Header
from device_sdk.wire.limits import ANONYMOUS_STEP, DAY, MAX_TOKENS
from device_sdk.wire.query import AnonymousQuery
from device_sdk.wire.reading_policy import OBSERVE, ReadingPolicy, ReadingRule
from device_sdk.wire.roster_page import ChannelEntry
from device_sdk.wire.token_request import Denial, TokenIssue, TokenRequest

HEADER = AnonymousHeader(
    content_type="text/plain",
    iv=bytes(12),
    channel="suggestions",
    expires=2 * DAY,
    issued=DAY,
    message_id=bytes(16),
    reader_root=bytes(32),
    reader_count=2,
    cek_commitment=bytes(32),
    key_id=bytes(16),
)
KEY = EpochKey(channel="suggestions", begins=DAY, ends=2 * DAY, public=bytes(32))
ENTRY = ChannelEntry(readers=("hub",), senders=("thermo",), lifetime=DAY)


def test_a_header_says_what_every_member_could_have_said() -> None:
    assert AnonymousHeader.decode(HEADER.encode()) == HEADER
    fields: dict[Any, Any] = cbor.decode(HEADER.encode(), "header", limit=1000)
    assert cose.KID not in fields
    assert set(fields[cose.CWT_CLAIMS]) == {3, 4, 6, 7}
    assert not {-70003, -70006, -70009} & set(fields)


@pytest.mark.parametrize("change", [{"issued": DAY + 1}, {"expires": 2 * DAY - 1}])
def test_times_to_the_second_are_malformed(change: dict[str, int]) -> None:
    with pytest.raises(MalformedError, match=f"a multiple of {ANONYMOUS_STEP}"):
        AnonymousHeader.decode(replace(HEADER, **change).encode())  # type: ignore[arg-type]


def test_nobody_writes_anonymously_to_single_readers() -> None:
    with pytest.raises(MalformedError, match="a direct message"):
        AnonymousHeader.decode(replace(HEADER, channel="direct").encode())


def test_neither_kind_of_header_is_taken_for_the_other() -> None:
    with pytest.raises(MalformedError):
        Header.decode(HEADER.encode())


@pytest.mark.parametrize(
    "rule",
    [[3599, 1], [30 * DAY + 1, 1], [3600, 0], [3600, MAX_TOKENS + 1], [3600], [3600, 1, 1], 3600],
)
def test_a_rule_out_of_bounds_is_malformed(rule: object) -> None:
    assert AnonymousRule.parse([3600, MAX_TOKENS]) == AnonymousRule(epoch=3600, tokens=MAX_TOKENS)
    with pytest.raises(WireError):
        AnonymousRule.parse(rule)


def test_a_channel_has_a_rule_for_readings_or_for_anonymity_and_not_both() -> None:
    policy = ReadingPolicy(version=1, unit="celsius", exponent=0, mantissa=1, low=0, high=9)
    anonymous = replace(ENTRY, anonymous=AnonymousRule(epoch=DAY, tokens=3))
    assert ChannelEntry.parse(anonymous.to_cbor()) == anonymous
    both = replace(anonymous, reading=ReadingRule(mode=OBSERVE, policy=policy))
    with pytest.raises(MalformedError, match="got both"):
        ChannelEntry.parse(both.to_cbor())


@pytest.mark.parametrize(("begins", "ends"), [(1, DAY + 1), (DAY, DAY), (DAY, DAY + 60)])
def test_a_key_is_for_a_period_of_its_kind(begins: int, ends: int) -> None:
    assert EpochKey.decode(KEY.encode()) == KEY
    with pytest.raises(MalformedError):
        EpochKey.decode(replace(KEY, begins=begins, ends=ends).encode())


def test_the_name_of_a_key_changes_with_everything_in_it() -> None:
    others = [
        replace(KEY, channel="other"),
        replace(KEY, begins=0, ends=DAY),
        replace(KEY, public=b"\1" * 32),
    ]
    assert len({one.key_id for one in (KEY, *others)}) == 4


def test_a_list_shows_one_key_for_a_period() -> None:
    two = TokenKeys(gateway="gw-1", time=1, keys=(KEY, replace(KEY, public=b"\1" * 32)))
    with pytest.raises(MalformedError, match="two of one"):
        TokenKeys.parse(cbor.decode(two.encode(), "keys", limit=1000))


def test_an_answer_has_tokens_or_a_denial() -> None:
    issue = TokenIssue(key_id=bytes(16), request=bytes(32), evaluated=(bytes(32),), proof=bytes(64))
    denied = TokenIssue(key_id=bytes(16), request=bytes(32), denial=Denial.TAKEN)
    for one in (issue, denied):
        assert TokenIssue.decode(one.encode()) == one
    fields = cbor.decode(issue.encode(), "issue", limit=1000)
    for bad in ({**fields, 5: "taken"}, {k: fields[k] for k in (1, 2, 3)}, {1: fields[1]}):
        with pytest.raises(MalformedError):
            TokenIssue.decode(cbor.encode(bad))
    with pytest.raises(MalformedError):
        TokenIssue.decode(cbor.encode({1: bytes(16), 2: bytes(32), 5: "because"}))


def test_a_request_is_known_by_its_key_and_every_element() -> None:
    request = TokenRequest(device="thermo", key_id=bytes(16), blinded=(bytes(32), b"\1" * 32))
    assert TokenRequest.parse(cbor.decode(request.encode(), "r", limit=1000)) == request
    others = [
        replace(request, key_id=b"\1" * 16),
        replace(request, blinded=request.blinded[::-1]),
        replace(request, blinded=request.blinded[:1]),
    ]
    assert len({one.digest for one in (request, *others)}) == 4


def test_a_question_about_an_anonymous_message_names_it_and_nobody() -> None:
    asked = AnonymousQuery(message_id=bytes(16), digest=bytes(32))
    assert AnonymousQuery.decode(asked.encode()) == asked
    with pytest.raises(WireError):
        AnonymousQuery.decode(asked.encode() + b"\0")
