"""A device whose private keys are in a PKCS#11 token, by the commands that a user gives."""

import pytest

from tests.support.home import Home
from tests.support.soft_token import LABEL, PIN, SoftToken

pytest.importorskip("pkcs11")


def test_a_device_with_its_keys_in_a_token_sends_and_reads(home: Home, softoken: str) -> None:
    del softoken
    token = SoftToken(home.directory / "soft-token")
    home.environment["SOFTOKEN_PARAMETERS"] = token.environment["SOFTOKEN_PARAMETERS"]
    (home.directory / "pin").write_bytes(PIN + b"\n")
    mine = ("--dir", "./safe", "--passphrase-file", "pin")
    place = ("--module", str(token.module), "--token", LABEL)
    home.ok("device", "init", "safe", *mine, *place)
    home.ok("fleet", "admit", "./fleet", "./safe/join-request")
    home.ok("device", "trust", "./fleet/public/root.pub", "--dir", "./safe", "--broker", home.url)
    assert not list((home.directory / "safe").glob("*.pem"))

    home.ok("device", "send", *mine, "--to", "hub", "from a token")
    (message,) = home.read("hub")
    assert (message["sender"], message["text"]) == ("safe", "from a token")
    home.send("to a token", "safe")
    (message,) = home.ok("device", "read", *mine, "--json").json_lines
    assert message["text"] == "to a token"
    assert not any(home.owing())
    page = home.ok("doctor", *mine)
    assert "ok       device keys at rest: in a token" in page.out.splitlines()

    assert "wants its PIN" in home.fails("device", "status", "--dir", "./safe")
    assert "go together" in home.fails("device", "init", "x", "--dir", "./x", *place[:2])
