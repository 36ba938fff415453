"""A device's keys: made once, locked, renewed and erased."""

import subprocess
import sys
from pathlib import Path

import pytest

from device_sdk.key_file import KeyFileError, LoosePermissionsError
from device_sdk.keys.keystore import DirectoryInUseError, KeyStore, NoDeviceError
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.join_request import verify_join_request
from device_sdk.wire.limits import CLOCK_SKEW, DAY, READER_KEY_RENEWAL, READER_KEY_VALIDITY

NOW = 1_800_000_000


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device's directory; making one takes an RSA key, so tests that only look share it."""
    directory = tmp_path_factory.mktemp("keys") / "thermo-1"
    KeyStore.create(directory, "thermo-1", None, now=NOW).close()
    return directory


def test_a_device_keeps_its_name_and_keys(device: Path) -> None:
    with KeyStore.open(device, None) as first:
        identity, kid = first.identity.spki, first.reader_keys[0].key.kid
    with KeyStore.open(device, None) as again:
        assert again.name == "thermo-1"
        assert again.identity.spki == identity
        assert again.reader_key(kid) is not None


def test_the_join_request_holds_both_public_keys_under_the_devices_own_signatures(
    device: Path,
) -> None:
    with KeyStore.open(device, None) as store:
        request, statement = verify_join_request(store.join_request(now=NOW))
        assert request.name == "thermo-1"
        assert request.identity_spki == store.identity.spki
        assert statement == store.reader_keys[0].statement


def test_a_second_process_is_refused_and_told_which_one_holds_the_directory(device: Path) -> None:
    with KeyStore.open(device, None):
        code = (
            "import sys, os; from pathlib import Path; from device_sdk.keys.keystore import *\n"
            "try: KeyStore.open(Path(sys.argv[1]), None)\n"
            "except DirectoryInUseError as error: print(error.pid == os.getppid())"
        )
        output = subprocess.run(
            [sys.executable, "-c", code, str(device)], capture_output=True, text=True, check=True
        )
        assert output.stdout.strip() == "True"


def test_a_closed_directory_can_be_opened_again(device: Path) -> None:
    KeyStore.open(device, None).close()
    KeyStore.open(device, None).close()


def test_a_failed_opening_leaves_the_directory_free(device: Path) -> None:
    with pytest.raises(KeyFileError):
        KeyStore.open(device, b"a passphrase it does not have")
    KeyStore.open(device, None).close()


def test_the_same_process_cannot_open_a_directory_twice(device: Path) -> None:
    with KeyStore.open(device, None), pytest.raises(DirectoryInUseError):
        KeyStore.open(device, None)


def test_a_directory_open_to_others_is_refused(device: Path) -> None:
    device.chmod(0o755)
    try:
        with pytest.raises(LoosePermissionsError):
            KeyStore.open(device, None)
    finally:
        device.chmod(0o700)


def test_a_directory_with_a_device_is_not_overwritten(device: Path) -> None:
    with pytest.raises(NoDeviceError, match="already"):
        KeyStore.create(device, "other", None, now=NOW)


def test_an_empty_directory_says_how_a_device_is_made(tmp_path: Path) -> None:
    with pytest.raises(NoDeviceError, match="device init"):
        KeyStore.open(tmp_path, None)


@pytest.mark.parametrize("name", ["", "Upper", "a/b", "a+b", "#", "$x", "ü", "x" * 65])
def test_names_that_could_be_topics_or_wildcards_are_refused_before_anything_is_made(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(MalformedError):
        KeyStore.create(tmp_path / "device", name, None, now=NOW)
    assert not (tmp_path / "device").exists()


def test_reader_keys_are_renewed_and_erased_in_their_time(tmp_path: Path) -> None:
    directory = tmp_path / "hub"
    with KeyStore.create(directory, "hub", b"pass", now=NOW) as store:
        old = store.reader_keys[0].key.kid
        assert not store.renewal_due(now=NOW + READER_KEY_RENEWAL - 1)
        later = NOW + READER_KEY_RENEWAL
        assert store.renewal_due(now=later)
        new = store.add_reader_key(now=later)
        assert not store.renewal_due(now=later)
        assert store.erase_expired(now=NOW + READER_KEY_VALIDITY + CLOCK_SKEW) == 0
        assert store.erase_expired(now=NOW + READER_KEY_VALIDITY + CLOCK_SKEW + 1) == 1
        assert store.reader_key(old) is None
    with KeyStore.open(directory, b"pass") as again:
        assert [own.statement for own in again.reader_keys] == [new.statement]
        # However late it is, the newest stays: it carries the name and the last serial.
        assert again.erase_expired(now=NOW + 1000 * DAY) == 0


def test_a_restored_device_takes_a_serial_above_the_one_others_know(tmp_path: Path) -> None:
    with KeyStore.create(tmp_path / "hub", "hub", None, now=NOW) as store:
        assert store.add_reader_key(now=NOW, above=NOW + 500).statement.serial == NOW + 501
        assert store.add_reader_key(now=NOW).statement.serial == NOW + 502


def kill_in(directory: Path, victim: str, action: str) -> None:
    """Run an action on a device in a process that a kill ends as soon as it calls ``victim``."""
    program = f"""
import os, sys
from pathlib import Path
from device_sdk.identity import Identity
from device_sdk.keys.keystore import KeyStore
from device_sdk.wire import cose
{victim} = lambda *_, **__: os.kill(os.getpid(), 9)
directory = Path(sys.argv[1])
{action}
"""
    assert subprocess.run([sys.executable, "-c", program, str(directory)], check=False).returncode


@pytest.mark.parametrize("gone", [".statement", ".pem"])
def test_a_crash_while_an_old_key_is_erased_leaves_a_device_that_opens(
    tmp_path: Path, gone: str
) -> None:
    directory = tmp_path / "hub"
    with KeyStore.create(directory, "hub", None, now=NOW) as store:
        new = store.add_reader_key(now=NOW + 1)
    (directory / f"reader-{NOW}{gone}").unlink()
    with KeyStore.open(directory, None) as store:
        assert [own.statement for own in store.reader_keys] == [new.statement]
    assert not (directory / f"reader-{NOW}.pem").exists()


def test_the_newest_key_is_missed(tmp_path: Path) -> None:
    KeyStore.create(tmp_path / "hub", "hub", None, now=NOW).close()
    (tmp_path / "hub" / f"reader-{NOW}.pem").unlink()
    with pytest.raises(KeyFileError, match="no key file"):
        KeyStore.open(tmp_path / "hub", None)


def test_a_making_that_was_killed_can_be_repeated(tmp_path: Path) -> None:
    directory = tmp_path / "hub"
    create = f"KeyStore.create(directory, 'hub', None, now={NOW})"
    kill_in(directory, "Identity.save", create)
    with KeyStore.create(directory, "hub", None, now=NOW + 5) as store:
        assert [own.statement.serial for own in store.reader_keys] == [NOW + 5]
    KeyStore.open(directory, None).close()


def test_a_half_written_private_key_is_erased(tmp_path: Path) -> None:
    directory = tmp_path / "hub"
    KeyStore.create(directory, "hub", None, now=NOW).close()
    kill_in(
        directory, "Path.replace", f"KeyStore.open(directory, None).add_reader_key(now={NOW} + 1)"
    )
    assert list(directory.glob(".reader-*"))
    KeyStore.open(directory, None).close()
    assert not list(directory.glob(".reader-*"))


def test_a_directory_where_no_device_could_be_made_is_free(tmp_path: Path) -> None:
    directory = tmp_path / "hub"
    directory.mkdir(mode=0o700)
    (directory / "join-request").mkdir()  # in the way of the file
    with pytest.raises(OSError, match="join-request"):
        KeyStore.create(directory, "hub", None, now=NOW)
    (directory / "join-request").rmdir()
    KeyStore.create(directory, "hub", None, now=NOW).close()


def test_a_key_that_is_later_than_the_directory_knows_is_kept(tmp_path: Path) -> None:
    directory = tmp_path / "hub"
    KeyStore.create(directory, "hub", None, now=NOW).close()
    with KeyStore.open(directory, None) as store:
        store.add_reader_key(now=NOW + 5)
    (directory / f"reader-{NOW + 5}.statement").unlink()  # as in an older copy of the directory
    with KeyStore.open(directory, None) as store:
        assert (directory / f"reader-{NOW + 5}.pem").exists()
        assert store.add_reader_key(now=NOW + 1).statement.serial == NOW + 6


def test_a_key_that_was_being_made_is_erased(tmp_path: Path) -> None:
    directory = tmp_path / "hub"
    KeyStore.create(directory, "hub", None, now=NOW).close()
    making = f"KeyStore.open(directory, None).add_reader_key(now={NOW} + 5)"
    kill_in(directory, "cose.sign", making)
    assert (directory / f"reader-{NOW + 5}.pem").exists()
    KeyStore.open(directory, None).close()
    assert not list(directory.glob(f"reader-{NOW + 5}.*"))
