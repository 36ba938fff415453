"""Bytes from a client become a packet that is exactly those bytes, or one typed refusal."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.embedded.packets import (
    Connect,
    MalformedPacketError,
    UnacceptableProtocolError,
    cut,
    decode,
    decode_connect,
)
from tests.brokers import raw_client

_FRAMES = [
    raw_client.publish("a/b", b"payload"),
    raw_client.publish("a/b", b"", qos=0, retain=True),
    raw_client.subscribe("a/#", "b/+"),
    raw_client.packet(0xA2, b"\0\1" + raw_client.text("a")),
    raw_client.packet(0x62, b"\0\1"),
    raw_client.packet(0xC0),
    raw_client.packet(0xE0),
]
_CONNECT = raw_client.connect("hub", "hub", "token", will=("a/b", b"gone"))


@pytest.mark.parametrize("frame", _FRAMES)
def test_a_proper_packet_is_decoded(frame: bytes) -> None:
    assert decode(frame).to_bytes() == frame


def test_a_connect_is_decoded_and_does_not_show_its_password() -> None:
    hello = decode_connect(_CONNECT)
    assert (hello.client_id, hello.username, hello.password) == ("hub", "hub", "token")
    assert hello.will is not None
    assert (hello.will.topic, hello.will.payload, hello.will.qos) == ("a/b", b"gone", 1)
    assert "token" not in repr(hello)


@given(st.sampled_from(_FRAMES), st.data())
def test_a_damaged_packet_is_refused_or_is_another_proper_packet(
    frame: bytes, data: st.DataObject
) -> None:
    position = data.draw(st.integers(0, len(frame) - 1))
    damaged = bytearray(frame)
    damaged[position] = data.draw(st.integers(0, 255))
    _decode_or_refuse(bytes(damaged))


@given(st.integers(0, 255), st.binary(max_size=60))
def test_whatever_comes_only_our_own_error_is_raised(first: int, body: bytes) -> None:
    _decode_or_refuse(raw_client.packet(first, body))


@given(st.integers(0, len(_CONNECT) - 1), st.integers(0, 255))
@example(9, 0xFF)
def test_a_damaged_connect_is_refused_or_is_another_proper_connect(index: int, byte: int) -> None:
    damaged = bytearray(_CONNECT)
    damaged[index] = byte
    with contextlib.suppress(MalformedPacketError, UnacceptableProtocolError):
        assert isinstance(decode_connect(bytes(damaged)), Connect)


def _decode_or_refuse(frame: bytes) -> None:
    with contextlib.suppress(MalformedPacketError):
        assert decode(frame).to_bytes() == frame


@given(st.lists(st.sampled_from(_FRAMES), max_size=5), st.integers(1, 7))
def test_packets_are_cut_from_a_stream_however_it_is_chopped(
    frames: list[bytes], step: int
) -> None:
    stream, buffer, came = b"".join(frames), bytearray(), []
    for start in range(0, len(stream), step):
        buffer += stream[start : start + step]
        while (frame := cut(buffer, publish_limit=1000, stranger=False)) is not None:
            came.append(frame)
    assert came == frames
    assert not buffer


def test_a_limit_holds_for_the_whole_packet_as_soon_as_it_is_announced() -> None:
    frame = raw_client.publish("a", bytes(90))
    assert cut(bytearray(frame), publish_limit=len(frame), stranger=False) == frame
    with pytest.raises(MalformedPacketError, match="announced"):
        cut(bytearray(frame[:3]), publish_limit=len(frame) - 1, stranger=False)
