"""Messages sent and read by commands, as the README describes it."""

import base64
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.home import Home


def test_a_message_goes_its_whole_way_by_hand(home_on_each_broker: Home) -> None:
    home = home_on_each_broker
    message_id = home.send("21.5", "hub", "phone")
    assert home.owing() == [["hub", "phone"]]
    assert home.ok("device", "read", "--dir", "./hub").out == "21.5\n"
    assert home.ok("device", "read", "--dir", "./hub").out == ""
    assert home.owing() == [["phone"]]
    assert [message["text"] for message in home.read("phone")] == ["21.5"]
    record = home.sent(message_id)
    assert record["state"] == "settled"
    assert {slot["reader"]: slot["verdict"] for slot in record["readers"]} == {
        "hub": "read",
        "phone": "read",
    }
    assert home.stop() == 0


def test_a_received_message_in_json_says_who_sent_what_and_when(home: Home) -> None:
    message_id = home.send("21.5", "hub")
    (message,) = home.read("hub")
    assert message["expires_at"] - message["sent_at"] == 7 * 24 * 3600
    assert (message["message_id"], message["sender"], message["channel"], message["text"]) == (
        message_id,
        "thermo-1",
        "direct",
        "21.5",
    )


def test_standard_input_is_sent_and_what_is_no_text_is_shown_as_base64(home: Home) -> None:
    payload = bytes(range(256))
    (home.directory / "payload").write_bytes(payload)
    for _ in range(2):
        with (home.directory / "payload").open("rb") as stdin:
            sending = home.start(
                "device", "send", "--dir", "./thermo-1", "--to", "hub", "-", stdin=stdin
            )
            assert len(sending.communicate(timeout=60)[0].strip()) == 32
    with home.start("device", "read", "--dir", "./hub", "--count", "1", "--json") as reading:
        message = json.loads(reading.communicate(timeout=60)[0])
    assert base64.b64decode(message["base64"]) == payload
    done = home.ok("device", "read", "--dir", "./hub")
    assert base64.b64decode(done.out) == payload
    assert "base64" in done.err


def test_a_sender_can_wait_until_everybody_has_read(home: Home) -> None:
    arguments = ("device", "send", "--dir", "./thermo-1", "--to", "hub", "--wait-read")
    assert "still unread by hub" in home.fails(*arguments, "0.1", "early")
    with home.start(*arguments, "60", "--json", "late") as sending:
        assert sending.stdout is not None
        assert '"state": "held"' in sending.stdout.readline()
        assert [message["text"] for message in home.read("hub")] == ["early", "late"]
        assert '"verdict": "read"' in sending.stdout.readline()
        assert sending.wait(30) == 0


def test_a_message_that_could_not_be_written_is_not_acknowledged(home: Home) -> None:
    home.send("not lost", "hub")
    to_nobody, from_device = os.pipe()
    os.close(to_nobody)
    reading = home.start("device", "read", "--dir", "./hub", stdout=from_device)
    os.close(from_device)
    _, complaint = reading.communicate(timeout=60)
    assert reading.returncode == 1
    assert "Traceback" not in complaint
    assert home.owing() == [["hub"]]
    assert [message["text"] for message in home.read("hub")] == ["not lost"]


@pytest.mark.parametrize(
    ("where", "complaint"), [(">&-", "standard output is closed"), ("> /dev/full", "No space left")]
)
def test_a_message_that_nobody_could_see_is_not_acknowledged(
    where: str, complaint: str, home: Home
) -> None:
    home.send("not lost", "hub")
    for how in ("", "--json"):
        done = home.through_sh(f"device read --dir ./hub {how} {where}")
        assert (done.code, done.err.count("\n"), complaint in done.err) == (1, 1, True), done
    assert [message["text"] for message in home.read("hub")] == ["not lost"]


@pytest.mark.parametrize(
    ("command", "code", "complaint"),
    [("x >&-", 1, "standard output is closed"), ("- <&-", 2, "standard input, which is closed")],
)
def test_nothing_is_sent_when_its_id_or_content_has_no_way(
    command: str, code: int, complaint: str, home: Home
) -> None:
    done = home.through_sh(f"device send --dir ./thermo-1 --to hub {command}")
    assert (done.code, done.err.count("\n"), complaint in done.err) == (code, 1, True), done
    assert home.owing() == []


def test_a_warning_is_not_printed_among_the_results_where_stderr_is_closed(home: Home) -> None:
    (home.directory / "bytes").write_bytes(b"\xff")
    home.through_sh("device send --dir ./thermo-1 --to hub - < bytes")
    assert home.through_sh("device read --dir ./hub <&- 2>&-").out == "/w==\n"


@pytest.mark.parametrize("how", [("--follow",), ("--count", "1")])
def test_whoever_waits_is_told_that_there_is_no_broker(how: tuple[str, ...], home: Home) -> None:
    nowhere = ("--broker", "mqtt://127.0.0.1:9")
    with home.start("device", "read", "--dir", "./hub", *how, *nowhere) as waiting:
        assert waiting.stderr is not None
        line = waiting.stderr.readline()
        waiting.kill()
    assert line.startswith("sealgate: warning: the broker mqtt://127.0.0.1:9 cannot be reached")


def test_following_prints_messages_as_they_come_until_ctrl_c(home: Home) -> None:
    with home.start("device", "read", "--dir", "./hub", "--follow") as following:
        assert following.stdout is not None
        for text in ("one", "two"):
            home.send(text, "hub")
            assert following.stdout.readline() == f"{text}\n"
        following.send_signal(signal.SIGINT)
        _, complaint = following.communicate(timeout=60)
        assert following.returncode == 130
        assert complaint == ""
    assert home.read("hub") == []


def test_a_count_of_messages_is_waited_for(home: Home) -> None:
    read = ("device", "read", "--dir", "./hub", "--count", "2")
    assert "0 of 2" in home.fails(*read, "--timeout", "0.5")
    with home.start(*read) as reading:
        for text in ("one", "two", "three"):
            home.send(text, "hub")
        assert reading.communicate(timeout=60)[0] == "one\ntwo\n"
        assert reading.returncode == 0
    assert [message["text"] for message in home.read("hub")] == ["three"]


def test_a_message_is_stored_while_the_gateway_is_away_and_sent_by_the_next_command(
    home: Home,
) -> None:
    home.send("the roster and hub's key are known from now on", "hub")
    home.stop()
    send = ("device", "send", "--dir", "./thermo-1", "--to", "hub", "--timeout", "1")
    assert "not held yet" in home.fails(*send, "patience")
    assert "outdated" in home.ok("device", "sent", "--dir", "./thermo-1", "--timeout", "0.2").err
    home.serve()
    home.send("next", "phone")
    texts = [message["text"] for message in home.read("hub")]
    assert texts[1:] == ["patience"]


def test_reading_without_a_gateway_fails_instead_of_finding_nothing(home: Home) -> None:
    home.stop()
    assert "broker" in home.fails("device", "read", "--dir", "./hub", "--timeout", "0.5")


@pytest.mark.parametrize(
    ("mistake", "reason"),
    [
        ("--to nobody x", "nobody"),
        ("--to Hub x", "device id"),
        ("--to hub --lifetime 40d x", "30 days"),
        ("--to hub --lifetime soon x", "--lifetime"),
        ("--to hub --broker http://x x", "mqtt[s]://"),
    ],
)
def test_a_message_that_cannot_be_sent_is_refused_in_one_line(
    mistake: str, reason: str, home: Home
) -> None:
    assert reason in home.fails("device", "send", "--dir", "./thermo-1", *mistake.split())


@pytest.mark.parametrize("odd", ["sent --limit 99999999999999999999", "status --timeout nan"])
def test_a_number_that_makes_no_sense_is_a_mistake_of_the_caller(odd: str, home: Home) -> None:
    assert "--help" in home.fails("device", *odd.split(), "--dir", "./hub")


def test_a_directory_in_use_names_the_process_that_uses_it(home: Home) -> None:
    with home.start("device", "read", "--dir", "./hub", "--follow") as following:
        home.send("it is up", "hub")
        assert following.stdout is not None
        following.stdout.readline()
        refusal = home.fails("device", "status", "--dir", "./hub")
        assert str(following.pid) in refusal
        following.terminate()


def test_status_tells_how_a_device_is_doing(home: Home) -> None:
    home.send("one", "hub")
    status = home.ok("device", "status", "--dir", "./hub", "--json").json
    assert (status["name"], status["copies_waiting"], status["gateway"]["status"]) == (
        "hub",
        1,
        "online",
    )
    assert status["is_connected"]
    assert status["is_admitted"]
    shown = home.ok("device", "status", "--dir", "./hub").out
    assert "gw-1 is online" in shown


def test_keys_under_a_passphrase_work_with_every_command(home: Home, tmp_path: Path) -> None:
    (home.directory / "secret").write_text("correct horse\n")
    given = ("--passphrase-file", "./secret")
    home.ok("device", "init", "lock-1", "--dir", "./lock-1", *given)
    home.ok("fleet", "admit", "./fleet", "./lock-1/join-request")
    home.ok(
        *("device", "trust", "./fleet/public/root.pub", "--dir", "./lock-1"),
        *("--broker", home.url),
    )
    home.ok("device", "send", "--dir", "./lock-1", "--to", "hub", "locked", *given)
    assert [message["sender"] for message in home.read("hub")] == ["lock-1"]
    assert "--passphrase-file" in home.fails("device", "sent", "--dir", "./lock-1")


def test_a_device_admitted_while_the_gateway_runs_takes_part_at_once(home: Home) -> None:
    home.ok("device", "init", "late-1", "--dir", "./late-1")
    home.ok("fleet", "admit", "./fleet", "./late-1/join-request")
    home.ok(
        *("device", "trust", "./fleet/public/root.pub", "--dir", "./late-1"),
        *("--broker", home.url),
    )
    home.send("welcome", "late-1")
    assert [message["text"] for message in home.read("late-1")] == ["welcome"]


def test_a_text_that_the_locale_cannot_show_is_still_read(home: Home) -> None:
    home.environment["PYTHONIOENCODING"] = "ascii"
    home.send("21 °C", "hub")
    home.send("22 °C", "hub")
    arguments = ("device", "read", "--dir", "./hub", "--count", "1")
    assert home.ok(*arguments).out == "21 \\xb0C\n"
    assert home.ok(*arguments, "--json").json["text"] == "22 °C"


def test_a_terminal_is_not_controlled_by_what_a_message_says(home: Home) -> None:
    home.send("\x1b[2Jgone", "hub")
    seen, terminal = os.openpty()
    reading = home.start(
        "device", "read", "--dir", "./hub", stdout=terminal, stdin=subprocess.DEVNULL
    )
    reading.communicate(timeout=60)
    os.close(terminal)
    shown = os.read(seen, 1000)
    os.close(seen)
    assert shown.strip() == b"\\x1b[2Jgone"
