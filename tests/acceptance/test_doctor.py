"""``sealgate doctor``: it finds what is wrong, says what to do, and is quiet where all is well."""

from typing import Any

from device_sdk import Device
from device_sdk.wire.limits import DAY
from gateway.owner.signing import Members
from tests.support.home import Home
from tests.support.owner import Owner

BOTH = ("--dir", "./thermo-1", "--data", "./gateway-data", "--bundle", "./fleet/public")


def checked(home: Home, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = home.run("doctor", *arguments, "--json")
    assert done.code == code, done.err
    return {f"{one['part']} {one['what']}": one for one in done.json_lines}


def verdicts(checks: dict[str, Any]) -> dict[str, str]:
    return {name: one["verdict"] for name, one in checks.items() if one["verdict"] != "ok"}


def renew(home: Home, days: int) -> None:
    owner = Owner(home)
    roster = owner.roster()
    members = Members(devices=roster.devices, channels=roster.channels)
    owner.sign(members, seen_by="thermo-1", validity=days * DAY)


UNENCRYPTED = {"device keys at rest": "warning", "gateway keys at rest": "warning"}


def test_where_all_is_well_everything_is_looked_at_and_nothing_is_a_problem(
    home_on_each_broker: Home,
) -> None:
    home = home_on_each_broker
    home.send("21.5", "hub")
    checks = checked(home, *BOTH, "--fleet", "./fleet")
    assert verdicts(checks) == {**UNENCRYPTED, "fleet keys at rest": "warning"}
    assert {name.partition(" ")[2] for name in checks if name.startswith("device ")} == {
        *("files", "keys at rest", "disk space", "enrolment", "state file", "roster"),
        *("admission", "reader key", "certificate", "broker", "gateway", "clock"),
    }
    assert {name.partition(" ")[2] for name in checks if name.startswith("gateway ")} == {
        *("files", "keys at rest", "disk space", "ledger", "roster", "admission", "bundle"),
    }
    page = home.ok("doctor", *BOTH).out
    assert "ok       device gateway: gw-1 is online" in page.splitlines()


def test_a_roster_near_its_end_is_a_warning_everywhere(home: Home) -> None:
    renew(home, days=13)
    checks = checked(home, *BOTH, "--fleet", "./fleet")
    late = {name for name, verdict in verdicts(checks).items() if name.endswith(" roster")}
    assert late == {"device roster", "gateway roster", "fleet roster"}
    assert checks["device roster"]["todo"] == "the owner must renew it"
    assert "renew the roster" in home.ok("fleet", "show", "./fleet").err
    status = home.ok("device", "status", "--dir", "./thermo-1")
    assert "the owner must renew it" in status.out
    renew(home, days=365)
    assert "roster" not in str(verdicts(checked(home, *BOTH)))


def test_what_others_may_read_is_a_problem(home: Home) -> None:
    (home.directory / "thermo-1" / "identity.pem").chmod(0o644)
    (home.directory / "gateway-data").chmod(0o755)
    checks = checked(home, *BOTH, code=1)
    found = verdicts(checks)
    assert found["device files"] == found["gateway files"] == "problem"
    assert checks["device files"]["todo"].startswith("chmod go= ")


def test_without_a_gateway_the_device_says_what_it_misses(home: Home) -> None:
    home.stop()
    checks = checked(home, "--dir", "./thermo-1", code=1)
    assert verdicts(checks) | {"device broker": "problem", "device roster": "problem"} == verdicts(
        checks
    )
    assert checked(home, "--data", "./gateway-data")["gateway ledger"]["verdict"] == "ok"


def test_a_damaged_ledger_and_a_damaged_state_file_are_problems(home: Home) -> None:
    home.send("21.5", "hub")
    home.stop()
    for file in ("gateway-data/ledger.sqlite", "thermo-1/state.sqlite"):
        path = home.directory / file
        data = bytearray(path.read_bytes())
        data[4096:8192] = bytes(4096)
        path.write_bytes(data)
    found = verdicts(checked(home, *BOTH, code=1))
    assert found["gateway ledger"] == "problem"
    assert found["device state file"] == "problem"


def test_a_device_that_is_in_use_is_checked_as_far_as_its_files_tell(home: Home) -> None:
    with Device.open(home.directory / "thermo-1"):
        checks = checked(home, "--dir", "./thermo-1")
    assert "in use by process" in checks["device device"]["found"]


def test_an_older_bundle_than_the_ledgers_is_a_problem(home: Home) -> None:
    old = (home.directory / "fleet/public/roster").read_bytes()
    renew(home, days=365)
    (home.directory / "fleet/public/roster").write_bytes(old)
    checks = checked(home, "--data", "./gateway-data", "--bundle", "./fleet/public", code=1)
    assert "is older than the ledger's" in checks["gateway bundle"]["found"]


def test_it_wants_to_be_told_what_to_check(home: Home) -> None:
    assert "expected --dir, --data or --fleet" in home.fails("doctor")
    assert "holds no device" in home.fails("device", "doctor", "--dir", "./nobody")
    assert home.ok("device", "doctor", "--dir", "./thermo-1").out.count("ok ") >= 8
