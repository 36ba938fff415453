"""Keys in a PKCS#11 token: they sign and open there, and never come out."""

import json
import os
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.support.soft_token import LABEL, PIN, SoftToken, run_with

pytest.importorskip("pkcs11")


@pytest.fixture
def token(tmp_path: Path, softoken: str) -> SoftToken:
    del softoken
    return SoftToken(tmp_path / "soft-token")


_BEGIN = """
import json, sys, pkcs11
from pathlib import Path
from cryptography.hazmat.primitives import hashes
from device_sdk.key_file import PassphraseError
from device_sdk.keys.keystore import KeyStore
from device_sdk.keys.token_vault import TokenPlace, TokenVault
directory, module, label, pin = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
NOW = 1_800_000_000

def create(name="hub"):
    place = TokenPlace.choose(module, label, name)
    vault = TokenVault(directory / "token", place, pin.encode())
    return KeyStore.create(directory, name, None, now=NOW, vault=vault)
"""


def run(token: SoftToken, directory: Path, program: str, pin: str = PIN.decode()) -> str:
    text = _BEGIN + textwrap.dedent(program)
    return token.run(text, str(directory), str(token.module), LABEL, pin)


def test_a_device_signs_and_opens_with_keys_that_are_in_the_token(
    token: SoftToken, tmp_path: Path
) -> None:
    run(
        token,
        tmp_path / "hub",
        """
        import os
        from device_sdk.keys.reader_key import UnwrapError
        from device_sdk.wire.join_request import verify_join_request
        create().close()
        with KeyStore.open(directory, pin.encode()) as store:
            request, statement = verify_join_request((directory / "join-request").read_bytes())
            assert request.identity_spki == store.identity.spki
            assert statement.spki == store.reader_keys[0].key.public.spki
            store.identity.public.verify(store.identity.sign(b"text"), b"text")
            cek = os.urandom(32)
            key = store.reader_key(store.reader_keys[0].key.kid)
            wrapped = key.public.wrap(cek)
            assert key.unwrap(wrapped) == cek
            key.check()
            for wrong in (wrapped[:-1] + bytes([wrapped[-1] ^ 1]), bytes(384), b"", wrapped[:-1]):
                try:
                    key.unwrap(wrong)
                except UnwrapError:
                    continue
                raise AssertionError("it opened")
        """,
    )
    assert not list((tmp_path / "hub").glob("*.pem"))
    assert sorted(path.name for path in (tmp_path / "hub").iterdir()) == [
        *("join-request", "lock", "reader-1800000000.statement", "token"),
    ]
    assert (tmp_path / "hub" / "token").stat().st_mode & 0o77 == 0


def test_no_private_key_comes_out_of_the_token(token: SoftToken, tmp_path: Path) -> None:
    found = run(
        token,
        tmp_path / "hub",
        """
        from pkcs11 import Attribute, KeyType, ObjectClass
        with create() as store:
            secrets = (Attribute.PRIVATE_EXPONENT, Attribute.PRIME_1, Attribute.VALUE)
            told = []
            private = {Attribute.CLASS: ObjectClass.PRIVATE_KEY}
            for key in store._vault._session.get_objects(private):
                assert key[Attribute.SENSITIVE] and not key[Attribute.EXTRACTABLE]
                for secret in secrets:
                    try:
                        told.append(key[secret])
                    except pkcs11.exceptions.PKCS11Error as error:
                        told.append(type(error).__name__)
            print(json.dumps(told))
        """,
    )
    assert set(json.loads(found)) <= {"AttributeSensitive", "AttributeTypeInvalid"}


def test_the_key_of_readings_is_made_once_and_never_comes_out_of_the_token(
    token: SoftToken, tmp_path: Path
) -> None:
    program = """
        from pkcs11 import Attribute, ObjectClass

        def told(place):
            vault = TokenVault(directory / "token", place, pin.encode())
            given = ((7, b"one"), (7, b"two"), (8, b"one"), (7, b"one"))
            macs = [vault.reading_mac(period, data).hex() for period, data in given]
            assert vault.reading_periods() == {7, 8}
            secrets = {Attribute.CLASS: ObjectClass.SECRET_KEY}
            found = vault._session.get_objects(secrets)
            (key,) = [key for key in found if key[Attribute.LABEL] == vault._label("reading 7")]
            assert key[Attribute.SENSITIVE] and not key[Attribute.EXTRACTABLE]
            try:
                value = key[Attribute.VALUE].hex()
            except pkcs11.exceptions.PKCS11Error as error:
                value = type(error).__name__
            vault.erase_reading_key(8)
            assert vault.reading_periods() == {7}
            vault.close()
            return [macs, value]

        directory.mkdir(exist_ok=True)
        tags = directory / "tags"
        if not tags.exists():  # two devices of one name
            places = [TokenPlace.choose(module, label, "hub") for _ in range(2)]
            tags.write_text(json.dumps([place.tag for place in places]))
        where = {"module": str(module), "token": label}
        places = [TokenPlace(tag=tag, **where) for tag in json.loads(tags.read_text())]
        print(json.dumps([told(place) for place in places]))
        """
    (macs, value), (other_macs, _) = json.loads(run(token, tmp_path / "hub", program))
    (macs_again, _), _ = json.loads(run(token, tmp_path / "hub", program))
    assert value == "AttributeSensitive"
    one, two, of_another_period, again = macs
    assert one == again
    assert len({*macs, *other_macs}) == 6
    assert len(bytes.fromhex(one)) == 64
    # What was erased is gone for good.
    assert macs_again[:2] == [one, two]
    assert macs_again[2] != of_another_period


def test_reader_keys_are_renewed_and_erased_in_the_token(token: SoftToken, tmp_path: Path) -> None:
    run(
        token,
        tmp_path / "hub",
        """
        DAY = 24 * 3600
        with create() as store:
            store.add_reader_key(now=NOW + 30 * DAY)
            assert store._vault.serials() == {NOW, NOW + 30 * DAY}
            assert store.erase_expired(now=NOW + 91 * DAY) == 1
            assert store._vault.serials() == {NOW + 30 * DAY}
        with KeyStore.open(directory, pin.encode()) as store:
            assert [own.statement.serial for own in store.reader_keys] == [NOW + 30 * DAY]
            # A key that was cut off before its statement was written is erased by the next opening.
            store._vault.make_reader_key(NOW + 31 * DAY)
            (directory / f"reader-{NOW + 31 * DAY}.making").touch()
        with KeyStore.open(directory, pin.encode()) as store:
            assert store._vault.serials() == {NOW + 30 * DAY}
            # One from after the backup that the directory was put back from is not.
            store._vault.make_reader_key(NOW + 32 * DAY)
        with KeyStore.open(directory, pin.encode()) as store:
            assert store._vault.serials() == {NOW + 30 * DAY, NOW + 32 * DAY}
        """,
    )


def test_two_devices_in_one_token_do_not_touch_each_others_keys(
    token: SoftToken, tmp_path: Path
) -> None:
    run(token, tmp_path / "one", "create().close()")
    run(token, tmp_path / "two", "create().close()")  # of the same name
    for name in ("one", "two"):
        run(token, tmp_path / name, "KeyStore.open(directory, pin.encode()).close()")


def test_without_the_pin_a_stolen_directory_opens_nothing(token: SoftToken, tmp_path: Path) -> None:
    run(token, tmp_path / "hub", "create().close()")
    run(
        token,
        tmp_path / "hub",
        """
        for wrong in (None, b"", b"not the PIN 999"):
            try:
                KeyStore.open(directory, wrong)
            except PassphraseError:
                continue
            raise AssertionError("it opened")
        """,
    )


def test_a_token_that_does_not_do_oaep_with_sha_256_is_refused_before_a_device_is_made(
    tmp_path: Path, softhsm: str
) -> None:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\n")
    environment = {**os.environ, "SOFTHSM2_CONF": str(tmp_path / "softhsm2.conf")}
    command = [softhsm, "--init-token", "--free", "--label", "soft"]
    command += ["--so-pin", "12345678", "--pin", "1234"]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    text = _BEGIN + textwrap.dedent(
        """
        from device_sdk.keys.token_vault import VaultError
        vault = TokenVault(directory / "token", TokenPlace.choose(module, label, "hub"), b"1234")
        try:
            KeyStore.create(directory, "hub", None, now=NOW, vault=vault)
        except VaultError as error:
            print(error)
        identity = vault.identity()  # but it signs
        identity.public.verify(identity.sign(b"text"), b"text")
        """
    )
    module = next(
        path
        for path in (
            "/usr/lib/softhsm/libsofthsm2.so",
            "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        )
        if Path(path).exists()
    )
    said = run_with(environment, text, str(tmp_path / "hub"), module, "soft", "1234")
    assert said == "the token soft does not do RSA-OAEP with SHA-256: use another\n"
    assert not (tmp_path / "hub" / "token").exists()


def test_a_process_that_has_the_token_open_for_another_device_is_told_so(
    token: SoftToken, tmp_path: Path
) -> None:
    said = run(
        token,
        tmp_path / "hub",
        """
        from device_sdk.keys.token_vault import VaultError
        with create() as store:
            try:
                TokenVault.open(directory / "token", pin.encode())
            except VaultError as error:
                print(error)
            store.identity.sign(b"still logged in")
        """,
    )
    assert "this process uses it for another device" in said
