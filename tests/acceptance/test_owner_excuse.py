"""A message waits for a lost device, on a real broker: the owner can end that, nobody else."""

from collections.abc import Callable
from pathlib import Path

from device_sdk.identity import Identity
from device_sdk.trust import Pin
from device_sdk.wire import cose
from device_sdk.wire.excuse import Excuse, excuse_file
from gateway.cli.demo.facts import becomes_true
from tests.support.home import Home


def put_excuse(home: Home, message_id: str, reader: str, signer: Identity) -> Path:
    """Put an excuse into the gateway's bundle, as its operator could."""
    bundle = home.directory / "fleet/public"
    about = bytes.fromhex(message_id)
    excuse = Excuse(sender="thermo-1", message_id=about, readers=(reader,), time=1_700_000_000)
    path = bundle / "excuses" / excuse_file("thermo-1", about)
    path.parent.mkdir(exist_ok=True)
    aad = Pin.from_pem((bundle / "root.pub").read_bytes()).aad
    path.write_bytes(cose.sign(excuse, signer, aad))
    return path


def logged(home: Home, event: str) -> Callable[[], bool]:
    return lambda: event in (home.directory / "serve.log").read_text()


def test_only_the_owner_ends_the_wait_for_a_lost_device(home_on_each_broker: Home) -> None:
    home = home_on_each_broker
    message_id = home.send("21.5", "hub", "phone")
    assert [one["text"] for one in home.read("hub")] == ["21.5"]
    gateway_key = Identity.load(home.directory / "gateway-data/identity.pem", None)
    forged = put_excuse(home, message_id, "phone", gateway_key)
    assert becomes_true(logged(home, "excuse_refused"))
    assert home.owing() == [["phone"]]
    forged.unlink()
    home.ok("fleet", "excuse", "./fleet", "thermo-1", message_id, "phone")
    assert becomes_true(logged(home, "excused"))
    assert becomes_true(lambda: home.owing() in ([], [[]]))
    outcome = home.sent(message_id)
    assert outcome["state"] == "settled"
    verdicts = {one["reader"]: (one["verdict"], one["detail"]) for one in outcome["readers"]}
    assert verdicts == {"hub": ("read", ""), "phone": ("excused", "excuse")}
    assert home.read("phone") == []
