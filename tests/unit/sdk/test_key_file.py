"""Private keys at rest."""

import base64
import os
import stat
from pathlib import Path

import pytest

from device_sdk.identity import Identity
from device_sdk.key_file import (
    DEVICE_KEY,
    OWNER_KEY,
    KeyFileError,
    LoosePermissionsError,
    PassphraseError,
    ScryptProfile,
    check_private,
    load_secret,
    save_secret,
    write_private_file,
)
from device_sdk.wire import cbor


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "identity.pem"


def test_a_key_comes_back_as_it_was_saved(path: Path) -> None:
    identity = Identity.generate()
    identity.save(path, None)
    assert Identity.load(path, None).spki == identity.spki


def test_a_key_comes_back_under_its_passphrase_and_is_not_in_the_file_in_the_clear(
    path: Path,
) -> None:
    identity = Identity.generate()
    identity.save(path, b"correct horse")
    assert Identity.load(path, b"correct horse").spki == identity.spki
    assert b"PRIVATE KEY" not in path.read_bytes()


def test_a_wrong_passphrase_is_refused_by_name(path: Path) -> None:
    Identity.generate().save(path, b"correct horse")
    with pytest.raises(PassphraseError, match="does not open"):
        Identity.load(path, b"battery staple")


def test_an_encrypted_key_asks_for_its_passphrase(path: Path) -> None:
    Identity.generate().save(path, b"correct horse")
    with pytest.raises(PassphraseError, match="--passphrase-file"):
        Identity.load(path, None)


def test_a_passphrase_for_an_unencrypted_key_is_an_error_and_not_a_false_comfort(
    path: Path,
) -> None:
    Identity.generate().save(path, None)
    with pytest.raises(PassphraseError, match="not encrypted"):
        Identity.load(path, b"correct horse")


@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_every_truncated_key_file_is_refused_as_damaged(
    path: Path, passphrase: bytes | None
) -> None:
    Identity.generate().save(path, passphrase)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 17):
        path.write_bytes(whole[:length])
        with pytest.raises(KeyFileError):
            Identity.load(path, passphrase)


def test_parameters_of_the_passphrase_cannot_be_weakened_in_the_file(path: Path) -> None:
    Identity.generate().save(path, b"correct horse")
    whole = path.read_bytes()
    # Every other character of the armour stands for other bytes somewhere in the container.
    for position in range(40, 140, 7):
        changed = bytearray(whole)
        changed[position] = ord("B") if changed[position] != ord("B") else ord("C")
        path.write_bytes(bytes(changed))
        with pytest.raises(KeyFileError):
            Identity.load(path, b"correct horse")


def test_a_guess_at_an_owners_passphrase_costs_more_than_at_a_devices(path: Path) -> None:
    written = []
    for profile in (DEVICE_KEY, OWNER_KEY):
        identity = Identity.generate()
        identity.save(path, b"correct horse", profile)
        assert Identity.load(path, b"correct horse").spki == identity.spki
        container = b"".join(path.read_bytes().splitlines()[1:-1])
        fields = cbor.decode(base64.b64decode(container), "key file", limit=10_000)
        written.append(ScryptProfile(log_n=fields[1], r=fields[2], p=fields[3]))
    assert written == [DEVICE_KEY, OWNER_KEY]
    memory = [128 * profile.r << profile.log_n for profile in written]
    assert memory == [64 << 20, 256 << 20]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_may_read_is_refused(path: Path, mode: int) -> None:
    Identity.generate().save(path, None)
    path.chmod(mode)
    with pytest.raises(LoosePermissionsError, match="chmod 600"):
        Identity.load(path, None)


def test_a_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    with pytest.raises(LoosePermissionsError, match="chmod 700"):
        check_private(tmp_path)
    tmp_path.chmod(0o700)


def test_private_files_are_for_their_owner_alone_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        write_private_file(path, b"secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_missing_key_file_is_named(path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"identity\.pem"):
        Identity.load(path, None)


class TestASecret:
    """Bytes that are no private key: the key of a device's readings."""

    SECRET = bytes(range(32))

    @pytest.mark.parametrize("passphrase", [None, b"correct horse"])
    def test_comes_back_as_it_was_saved_for_its_owner_alone(
        self, path: Path, passphrase: bytes | None
    ) -> None:
        save_secret(path, self.SECRET, passphrase)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert load_secret(path, passphrase, size=32) == self.SECRET

    def test_asks_for_its_passphrase_and_takes_no_other(self, path: Path) -> None:
        save_secret(path, self.SECRET, b"correct horse")
        assert self.SECRET.hex().encode() not in path.read_bytes()
        with pytest.raises(PassphraseError, match="--passphrase-file"):
            load_secret(path, None, size=32)
        with pytest.raises(PassphraseError, match="does not open"):
            load_secret(path, b"battery staple", size=32)

    def test_that_is_not_encrypted_takes_no_passphrase(self, path: Path) -> None:
        save_secret(path, self.SECRET, None)
        with pytest.raises(PassphraseError, match="not encrypted"):
            load_secret(path, b"correct horse", size=32)

    def test_that_is_missing_is_named(self, path: Path) -> None:
        with pytest.raises(KeyFileError, match=r"identity\.pem"):
            load_secret(path, None, size=32)

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
    def test_that_others_may_read_is_refused(self, path: Path, mode: int) -> None:
        save_secret(path, self.SECRET, None)
        path.chmod(mode)
        with pytest.raises(LoosePermissionsError, match="chmod 600"):
            load_secret(path, None, size=32)

    @pytest.mark.parametrize("passphrase", [None, b"correct horse"])
    def test_that_is_cut_off_is_damaged(self, path: Path, passphrase: bytes | None) -> None:
        save_secret(path, self.SECRET, passphrase)
        whole = path.read_bytes()
        for length in range(0, len(whole) - 1, 13):
            path.write_bytes(whole[:length])
            with pytest.raises(KeyFileError):
                load_secret(path, passphrase, size=32)

    def test_of_another_length_or_kind_is_damaged(self, path: Path) -> None:
        for secret in (b"", self.SECRET[:-1], self.SECRET + b"\0"):
            save_secret(path, secret, None)
            with pytest.raises(KeyFileError, match="expected 32 bytes"):
                load_secret(path, None, size=32)
        Identity.generate().save(path, None)
        with pytest.raises(KeyFileError, match="damaged"):
            load_secret(path, None, size=32)
        save_secret(path, self.SECRET[:-1], b"correct horse")
        with pytest.raises(KeyFileError, match="expected 32 bytes"):
            load_secret(path, b"correct horse", size=32)
