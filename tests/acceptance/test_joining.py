"""``sealgate device join`` at a gateway with its own broker, and what keeps it from joining."""

import subprocess
import time
from dataclasses import replace
from pathlib import Path

from device_sdk.wire.join_offer import JoinOffer
from device_sdk.wire.ticket import Ticket
from tests.support.home import Home

PATIENCE = 60.0


def invite(home: Home, *names: str) -> None:
    home.ok("fleet", "invite", "./fleet", *names, "--broker", home.url, "--out", "./tickets")


def ticket_of(home: Home, name: str) -> Ticket:
    return Ticket.decode((home.directory / f"tickets/{name}.ticket").read_text())


def join(home: Home, name: str, directory: str = "", **options: str) -> "subprocess.Popen[str]":
    words = [word for option, value in options.items() for word in (f"--{option}", value)]
    place = directory or f"./{name}"
    return home.start("device", "join", f"./tickets/{name}.ticket", "--dir", place, *words)


def until_waiting(process: "subprocess.Popen[str]") -> str:
    """Return what it has said until it waits for the owner."""
    assert process.stdout is not None
    said = ""
    while "waiting for the owner" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


def until_kept(home: Home, *names: str) -> None:
    """Wait until the gateway has the devices' requests."""
    until = time.monotonic() + PATIENCE
    requests = home.directory / "gateway-data/requests"
    while not all(any((requests / name).glob("*")) for name in names):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_device_joins_at_a_gateways_own_broker_and_is_ready_to_be_used(home: Home) -> None:
    invite(home, "lamp")
    joining = join(home, "lamp")
    said = until_waiting(joining)
    assert "Made the device lamp" in said
    assert "Fingerprint: " in said
    until_kept(home, "lamp")
    admitted = home.ok("fleet", "admit", "./fleet", "./gateway-data/requests").out
    assert admitted == "Admitted device lamp, by its ticket\n"
    rest, _ = joining.communicate(timeout=PATIENCE)
    assert joining.returncode == 0
    assert "lamp has joined" in rest
    home.send("21.5", "lamp")
    assert [message["text"] for message in home.read("lamp")] == ["21.5"]
    assert not (home.directory / "gateway-data/requests/lamp").exists()


def test_joining_may_be_given_up_and_taken_up_again(home: Home) -> None:
    invite(home, "lamp")
    how = ("device", "join", "./tickets/lamp.ticket", "--dir", "./lamp")
    line = home.fails(*how, "--timeout", "2")
    assert "not admitted yet (waiting for the owner to admit lamp)" in line
    home.ok("fleet", "admit", "./fleet", "./gateway-data/requests")
    again = home.ok(*how)
    assert "lamp has joined" in again.out
    assert "Made" not in again.out


def test_a_ticket_that_somebody_else_has_used_is_said_loudly(home: Home) -> None:
    invite(home, "lamp")
    thief = join(home, "lamp", "./thief")
    until_kept(home, "lamp")
    home.ok("fleet", "admit", "./fleet", "./gateway-data/requests")
    thief.communicate(timeout=PATIENCE)
    line = home.fails("device", "join", "./tickets/lamp.ticket", "--dir", "./lamp")
    assert "admitted another key as lamp" in line


def test_an_operator_who_swaps_the_request_changes_nothing(home: Home) -> None:
    invite(home, "lamp")
    joining = join(home, "lamp", timeout="2")
    until_kept(home, "lamp")
    joining.communicate(timeout=PATIENCE)
    (kept,) = (home.directory / "gateway-data/requests/lamp").iterdir()
    home.ok("device", "init", "lamp", "--dir", "./operators-lamp")
    swapped = (home.directory / "operators-lamp/join-request").read_bytes()
    kept.write_bytes(replace(JoinOffer.decode(kept.read_bytes()), request=swapped).encode())
    done = home.run("fleet", "admit", "./fleet", "./gateway-data/requests")
    assert done.code == 1
    assert "not made with the code of its ticket, or was changed" in done.err
    members = home.ok("fleet", "show", "./fleet", "--json").json["members"]
    assert "lamp" not in [member["name"] for member in members]


def test_what_is_no_ticket_for_this_device_is_refused(home: Home, tmp_path: Path) -> None:
    invite(home, "lamp", "stove")
    ticket = ticket_of(home, "lamp")
    tickets = {
        "cut": ticket.encode()[:-8],
        "none": "hello",
        "expired": replace(ticket, expires=int(time.time())).encode(),
    }
    for name, text in tickets.items():
        (home.directory / name).write_text(text)
    on = ("--dir", "./lamp", "--timeout", "1")
    assert "not a whole ticket" in home.fails("device", "join", "./cut", *on)
    assert "not a whole ticket" in home.fails("device", "join", "./none", *on)
    assert "has expired, or this machine's clock" in home.fails("device", "join", "expired", *on)
    assert "cannot read the ticket" in home.fails("device", "join", "./nowhere", *on)
    assert not (home.directory / "lamp").exists()
    # A directory that is another device's, and one that is another fleet's.
    line = home.fails("device", "join", "./tickets/stove.ticket", "--dir", "./hub")
    assert "the ticket is for stove, and ./hub holds hub" in line.replace("and hub", "and ./hub")
    home.ok("fleet", "init", "./other", "--name", "other", "--no-passphrase")
    home.ok("device", "init", "lamp", "--dir", "./lamp")
    home.ok("device", "trust", "./other/public/root.pub", "--dir", "./lamp")
    line = home.fails("device", "join", "./tickets/lamp.ticket", *on)
    assert "belongs to the owner" in line
    del tmp_path


def test_the_name_of_a_file_does_not_take_control_of_the_owners_terminal(home: Home) -> None:
    requests = home.directory / "requests"
    requests.mkdir()
    (requests / "a\r\x1b[2KAdmitted device hub\x1b[8m").write_bytes(b"rubbish")
    done = home.run("fleet", "admit", "./fleet", "./requests")
    assert done.code == 1
    assert "\x1b" not in done.err
    assert "\\x1b[2KAdmitted" in done.err
