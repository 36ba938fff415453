"""``sealgate audit`` beside a running gateway, on each broker, and on what somebody left there."""

from urllib.parse import urlsplit

import pytest

from device_sdk.wire.topics import Topics
from tests.brokers.raw_client import RawClient
from tests.support.home import Home

TOPICS = Topics()


def audit(home: Home, *more: str) -> tuple[int, str, str]:
    done = home.run("audit", "--data", "./gateway-data", *more)
    return done.code, done.out, done.err


async def test_nothing_is_left_at_any_stage_of_a_message(home_on_each_broker: Home) -> None:
    home = home_on_each_broker
    looks = ("--broker", home.url)
    home.send("21.5", "hub", "phone")
    code, out, err = audit(home, *looks)
    assert (code, err) == (0, "")
    assert out.startswith("nothing left: 1 messages held, ")
    home.read("hub")
    home.read("phone")
    code, out, err = audit(home, *looks)
    assert (code, err) == (0, "")
    assert out.startswith("nothing left: 0 messages held, ")
    home.stop()
    assert audit(home)[0] == 0


async def test_what_somebody_left_is_named_and_the_exit_code_says_so(
    home_on_each_broker: Home,
) -> None:
    home = home_on_each_broker
    home.send("21.5", "hub")
    home.stop()
    copied = home.directory / "gateway-data" / "ledger.sqlite.bak"
    copied.write_bytes((home.directory / "gateway-data" / "ledger.sqlite").read_bytes())
    code, out, err = audit(home)
    assert code == 1
    assert err == ""
    assert out.startswith("a copied database that does not belong here: ledger.sqlite.bak, ")


@pytest.mark.parametrize("home_on_each_broker", ["mosquitto"], indirect=True)
async def test_what_stands_at_the_broker_and_should_not_is_named_and_what_is_missing_warned_of(
    home_on_each_broker: Home,
) -> None:
    home, port = home_on_each_broker, urlsplit(home_on_each_broker.url).port or 0
    message_id = bytes.fromhex(home.send("21.5", "hub"))
    home.stop()
    async with await RawClient.dial(port) as somebody:
        await somebody.connect("somebody", "somebody", "any")
        ghost = TOPICS.inbox("phone", "thermo-1", bytes(16))
        await somebody.publish(ghost, b"what nobody knows", retain=True)
        await somebody.publish(TOPICS.seen("hub"), b"nonsense", retain=True)
        await somebody.publish(TOPICS.inbox("hub", "thermo-1", message_id), b"", retain=True)
    code, out, err = audit(home, "--broker", home.url)
    assert code == 1
    copy, seen = sorted(line.partition(";")[0] for line in out.splitlines())
    where = "sealgate/1/inbox/phone/thermo-1/00000000, 17 bytes"
    assert copy == f"a retained copy that the ledger does not know: {where}"
    assert seen == "a retained message under seen: sealgate/1/seen/hub, 8 bytes"
    assert "an owed copy does not stand at the broker: sealgate/1/inbox/hub" in err
    home.serve()
    assert audit(home, "--broker", home.url)[0] == 0
