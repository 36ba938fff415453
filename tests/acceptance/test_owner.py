"""The owner's commands, as an owner types them."""

import shutil
from pathlib import Path

import pytest

from gateway.cli.demo.facts import becomes_true
from tests.support.commands import Shell
from tests.support.home import Home


@pytest.fixture(scope="session")
def made_fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet with two gateways, which need no RSA keys to be made."""
    shell = Shell(tmp_path_factory.mktemp("owner"))
    shell.ok("fleet", "init", "./fleet", "--name", "home", "--no-passphrase")
    for name in ("gw-1", "gw-2"):
        shell.ok("gateway", "init", name, "--data", f"./{name}")
        shell.ok("fleet", "admit", "./fleet", f"./{name}/join-request", "--role", "gateway")
    return shell.directory


@pytest.fixture
def owner(made_fleet: Path, tmp_path: Path) -> Shell:
    """A copy of it, in a directory of its own."""
    return Shell(shutil.copytree(made_fleet, tmp_path / "owner"))


@pytest.fixture
def mail(made_home: Path, tmp_path: Path) -> Shell:
    """A fleet with three devices as well."""
    return Shell(shutil.copytree(made_home, tmp_path / "mail"))


def contents(directory: Path) -> dict[str, bytes]:
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_renewing_changes_the_dates_alone(owner: Shell) -> None:
    before = owner.ok("fleet", "show", "./fleet", "--json").json
    renewed = owner.ok("fleet", "renew", "./fleet", "--valid-days", "3650", "--json").json
    after = owner.ok("fleet", "show", "./fleet/public", "--json").json
    assert renewed["changes"] == []
    assert after["members"] == before["members"]
    assert after["roster_version"] == renewed["roster_version"] > before["roster_version"]
    assert after["roster_expires"] > before["roster_expires"] + 3000 * 86400


def test_a_revoked_gateway_is_shown_as_such_and_cannot_be_revoked_twice(owner: Shell) -> None:
    said = owner.ok("fleet", "revoke", "./fleet", "gw-2").out
    assert "~ gateway gw-2, revoked" in said
    assert "Give the bundle to your gateway" in said
    members = owner.ok("fleet", "show", "./fleet/public", "--json").json["members"]
    assert [(m["name"], m["state"]) for m in members] == [("gw-1", "active"), ("gw-2", "revoked")]
    assert "was revoked before" in owner.fails("fleet", "revoke", "./fleet", "gw-2")
    assert "no device or gateway named gw-3" in owner.fails("fleet", "revoke", "./fleet", "gw-3")
    refused = owner.fails("fleet", "admit", "./fleet", "./gw-2/join-request", "--role", "gateway")
    assert "was revoked" in refused


def test_a_dry_run_says_what_the_change_would_do_and_needs_no_key(owner: Shell) -> None:
    owner.ok("gateway", "init", "gw-3", "--data", "./gw-3")
    admit = ("fleet", "admit", "./fleet", "./gw-3/join-request", "--role", "gateway")
    key = owner.directory / "fleet/private/root.pem"
    kept = key.read_bytes()
    key.unlink()
    before = contents(owner.directory / "fleet")
    assert "+ gateway gw-3" in owner.ok(*admit, "--dry-run").out
    said = owner.ok("fleet", "revoke", "./fleet", "gw-1", "--dry-run").out
    assert "~ gateway gw-1, revoked" in said
    assert "Nothing was signed" in owner.ok("fleet", "renew", "./fleet", "--dry-run").out
    assert contents(owner.directory / "fleet") == before
    key.write_bytes(kept)
    key.chmod(0o600)
    shown = owner.ok(*admit, "--dry-run", "--json").json
    assert (shown["signed"], [one["name"] for one in shown["changes"]]) == (False, ["gw-3"])
    assert "signed" not in owner.ok(*admit, "--json").json
    assert contents(owner.directory / "fleet") != before


def test_channels_are_set_added_to_shown_and_removed(mail: Shell) -> None:
    channel = ("fleet", "channel")
    mail.ok(*channel, "set", "./fleet", "air", "--reader", "hub", "--sender", "thermo-1")
    mail.ok(*channel, "add", "./fleet", "air", "--reader", "phone", "--sender", "hub")
    said = mail.ok(*channel, "remove", "./fleet", "air", "--sender", "thermo-1").out
    assert "~ channel air, senders -thermo-1" in said
    mail.ok(
        *channel, *("set", "./fleet", "doors", "--lifetime", "12h"),
        *("--reader", "phone", "--sender", "hub", "--dry-run"),
    )  # fmt: skip
    shown = mail.ok("fleet", "show", "./fleet/public", "--json").json["channels"]
    assert shown == [
        {
            "name": "air",
            "readers": ["hub", "phone"],
            "senders": ["hub"],
            "lifetime": 7 * 86400,
            "readings": "",
            "anonymous": "",
            "totals": "",
        }
    ]
    assert "air" in mail.ok("fleet", "show", "./fleet").out.splitlines()[-1]
    mail.ok(*channel, "remove", "./fleet", "air")
    assert mail.ok("fleet", "show", "./fleet", "--json").json["channels"] == []


def test_a_channels_rule_for_readings_is_set_changed_shown_and_taken_back(mail: Shell) -> None:
    def air(*options: str) -> str:
        return mail.ok("fleet", "channel", "set", "./fleet", "air", *options).out

    given_away = mail.directory / "theirs"
    air("--reader", "hub", "--reader", "phone", "--sender", "thermo-1", "--lifetime", "2d")
    shutil.copytree(mail.directory / "fleet/public", given_away)
    rule = "-40.0..125.0 celsius in steps of 0.1"
    said = ("--reading", "celsius", "--scale", "0.1", "--range=-40..125")
    before = contents(mail.directory / "fleet")
    assert f"~ channel air, readings: observe {rule}" in air(*said, "--dry-run")
    assert contents(mail.directory / "fleet") == before
    assert f"~ channel air, readings: observe {rule}" in air(*said)
    assert f"~ channel air, readings: require {rule}" in air("--mode", "require")
    # Whoever is not named stays, and so does the rule where another thing is.
    assert "readings" not in air("--lifetime", "3d")
    (shown,) = mail.ok("fleet", "show", "./fleet", "--json").json["channels"]
    assert shown == {
        "name": "air",
        "readers": ["hub", "phone"],
        "senders": ["thermo-1"],
        "lifetime": 3 * 86400,
        "readings": f"require {rule}",
        "anonymous": "",
        "totals": "",
    }
    assert f"require {rule}" in mail.ok("fleet", "show", "./fleet").out
    differs = mail.ok("fleet", "diff", "./fleet", "./theirs").out
    assert f"readings: require {rule}" in differs
    assert "~ channel air, readings: no rule" in air("--mode", "off")
    (shown,) = mail.ok("fleet", "show", "./fleet", "--json").json["channels"]
    assert (shown["readers"], shown["readings"]) == (["hub", "phone"], "")


@pytest.mark.parametrize(
    ("mistake", "reason"),
    [
        ("set ./fleet air --reader hubb --sender hub", "no device named hubb"),
        ("set ./fleet air --reader gw-1 --sender hub", "no device but a gateway"),
        ("set ./fleet direct --reader hub --sender hub", "direct"),
        ("set ./fleet air --sender hub", "at least one reader"),
        ("set ./fleet air --reader hub --sender hub --lifetime 31d", "30 days"),
        ("set ./fleet air --reader hub --sender hub --lifetime soon", "seconds"),
        ("set ./fleet air --reader hub --sender hub --mode require", "--reading"),
        ("set ./fleet air --reader hub --sender hub --reading celsius", "--range"),
        ("set ./fleet air --reader hub --sender hub --reading celsius --range=9..0", "4294967295"),
        ("set ./fleet air --reading celsius --range=0..9", "at least one reader"),
        ("add ./fleet air --reader hub", "no channel named air"),
        ("add ./fleet air", "--reader DEVICE"),
        ("remove ./fleet air", "no channel named air"),
    ],
)
def test_a_channel_that_makes_no_sense_is_refused_in_one_line(
    mistake: str, reason: str, mail: Shell
) -> None:
    before = contents(mail.directory / "fleet")
    assert reason in mail.fails("fleet", "channel", *mistake.split())
    assert contents(mail.directory / "fleet") == before


def test_another_bundle_is_compared_with_the_roster_signed_last(owner: Shell) -> None:
    given_away = shutil.copytree(owner.directory / "fleet/public", owner.directory / "theirs")
    assert "No member" in owner.ok("fleet", "diff", "./fleet", "./theirs").out
    owner.ok("fleet", "revoke", "./fleet", "gw-2")
    assert "~ gateway gw-2, revoked" in owner.ok("fleet", "diff", "./fleet", "./theirs").out
    back = owner.ok("fleet", "diff", "./theirs", "./fleet").out
    assert "no longer revoked" in back
    assert "OTHER IS NEWER" in back
    owner.ok("fleet", "init", "./other", "--name", "other", "--no-passphrase")
    assert "another fleet's" in owner.fails("fleet", "diff", "./fleet", "./other")
    (given_away / "roster").write_bytes(b"nonsense")
    owner.fails("fleet", "diff", "./fleet", "./theirs")


def test_a_second_owner_takes_over_when_the_first_laptop_is_lost(owner: Shell) -> None:
    made = owner.ok("fleet", "owner", "init", "./ann", "--name", "ann", "--no-passphrase")
    add = ("fleet", "owner", "add", "./fleet", "./ann/owner-request")
    assert "+ owner ann" in owner.ok(*add, "--dry-run").out
    digits = made.out.splitlines()[2].partition(":")[2].strip()
    assert digits in owner.ok(*add, "--fingerprint", digits).out
    assert "already" in owner.fails(*add)
    assert "signs" not in owner.ok("fleet", "owner", "open", "./ann", "./fleet/public").err
    shutil.rmtree(owner.directory / "fleet")
    assert "Nothing was signed" in owner.ok("fleet", "rotate", "./ann", "--dry-run").out
    owner.ok("fleet", "rotate", "./ann")
    owner.ok("fleet", "revoke", "./ann", "gw-2")
    shown = owner.ok("fleet", "show", "./ann/public", "--json").json
    assert shown["present_root"] != shown["root_fingerprint"]
    assert shown["owners"] == []
    assert "Replaced by" in owner.ok("fleet", "show", "./ann").out


def test_what_another_owner_signed_is_pulled_before_a_change(owner: Shell) -> None:
    owner.ok("fleet", "owner", "init", "./ann", "--name", "ann", "--no-passphrase")
    make = ("fleet", "owner", "open", "./ann", "./fleet/public")
    assert "does not let your key sign yet" in owner.ok(*make).err
    owner.ok("fleet", "owner", "add", "./fleet", "./ann/owner-request")
    owner.ok("fleet", "pull", "./ann", "./fleet/public")
    owner.ok("fleet", "revoke", "./ann", "gw-2")
    assert "older" in owner.fails("fleet", "pull", "./ann", "./fleet/public")
    assert "~ gateway gw-2, revoked" in owner.ok("fleet", "pull", "./fleet", "./ann").out
    assert "was here already" in owner.ok("fleet", "pull", "./fleet", "./ann").out
    assert "already" in owner.fails(*make)


def test_an_owners_key_has_a_passphrase_and_keeps_it_through_a_rotation(owner: Shell) -> None:
    (owner.directory / "old").write_text("correct horse\n")
    (owner.directory / "new").write_text("battery staple\n")
    given = ("--passphrase-file", "./old")
    owner.ok("fleet", "init", "./locked", "--name", "locked", *given)
    assert "--no-passphrase" in owner.fails("fleet", "owner", "init", "./ann", "--name", "ann")
    assert "encrypted" in owner.fails("fleet", "rotate", "./locked")
    owner.ok("fleet", "rotate", "./locked", *given)
    owner.ok("fleet", "rotate", "./locked", *given, "--new-passphrase-file", "./new")
    assert "does not open" in owner.fails("fleet", "renew", "./locked", *given)
    owner.ok("fleet", "renew", "./locked", "--passphrase-file", "./new")


def test_devices_go_on_reading_through_a_new_root(home: Home) -> None:
    before = home.send("before", "hub")
    home.ok("fleet", "rotate", "./fleet")
    version = home.ok("fleet", "show", "./fleet", "--json").json["roster_version"]
    serve_log = home.directory / "serve.log"
    assert becomes_true(lambda: str(version) in serve_log.read_text())
    assert [one["text"] for one in home.read("hub")] == ["before"]
    home.send("after", "hub")
    assert [one["text"] for one in home.read("hub")] == ["after"]
    assert home.sent(before)["state"] == "settled"
