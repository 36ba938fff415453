"""What a device is told at enrolment: one owner for ever, and a broker."""

import stat
from pathlib import Path

import pytest

from device_sdk.enrolment.enrol import trust_root
from device_sdk.enrolment.settings_file import read_password, read_pin, read_settings
from device_sdk.errors import RootMismatchError, SettingsError
from device_sdk.identity import Identity
from device_sdk.key_file import LoosePermissionsError
from device_sdk.keys.keystore import NoDeviceError
from device_sdk.link.broker_url import BrokerUrl
from device_sdk.trust import Pin


def pem(root: Identity) -> bytes:
    return Pin.from_spki(root.spki).to_pem()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "device"
    path.mkdir(mode=0o700)
    Identity.generate().save(path / "identity.pem", None)
    return path


def test_root_and_broker_are_remembered_in_private_files(directory: Path) -> None:
    root = Identity.generate()
    trust_root(directory, pem(root), broker="mqtt://user:secret@host:1884")
    assert read_pin(directory).root.spki == root.spki
    assert read_settings(directory).broker == "mqtt://user:secret@host:1884"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert modes == {0o600}


def test_the_root_may_come_from_a_file(directory: Path, tmp_path: Path) -> None:
    root = Identity.generate()
    (tmp_path / "root.pub").write_bytes(pem(root))
    trust_root(directory, tmp_path / "root.pub")
    assert read_pin(directory).root.spki == root.spki


def test_another_root_than_the_pinned_one_is_refused_and_changes_nothing(directory: Path) -> None:
    first, second = Identity.generate(), Identity.generate()
    trust_root(directory, pem(first), broker="mqtt://first")
    with pytest.raises(RootMismatchError):
        trust_root(directory, pem(second), broker="mqtt://second")
    assert read_pin(directory).root.spki == first.spki
    assert read_settings(directory).broker == "mqtt://first"


def test_the_same_root_again_may_change_the_broker_alone(directory: Path) -> None:
    root = pem(Identity.generate())
    trust_root(directory, root, broker="mqtt://first", prefix="house/1")
    trust_root(directory, root, broker="mqtt://second")
    assert read_settings(directory).broker == "mqtt://second"
    assert read_settings(directory).prefix == "house/1"


@pytest.mark.parametrize("prefix", ["", "a/+/b", "a/#", "/a", "a//b", "$SYS", "a\0b", "x" * 70_000])
def test_a_prefix_that_no_topic_can_have_is_refused(directory: Path, prefix: str) -> None:
    with pytest.raises(SettingsError, match="prefix"):
        trust_root(directory, pem(Identity.generate()), prefix=prefix)
    assert not (directory / "root.pub").exists()


def test_what_is_no_public_key_is_refused(directory: Path) -> None:
    with pytest.raises(SettingsError):
        trust_root(directory, b"rubbish")
    with pytest.raises(SettingsError):
        trust_root(directory, directory / "missing")
    assert not (directory / "root.pub").exists()


def test_a_directory_without_a_device_trusts_nobody(tmp_path: Path) -> None:
    with pytest.raises(NoDeviceError):
        trust_root(tmp_path, pem(Identity.generate()))


def test_a_device_that_trusts_nobody_yet_says_how(directory: Path) -> None:
    with pytest.raises(SettingsError, match="device trust"):
        read_pin(directory)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"broker": 7}'])
def test_damaged_settings_are_our_error(directory: Path, content: bytes) -> None:
    (directory / "settings").write_bytes(content)
    (directory / "settings").chmod(0o600)
    with pytest.raises(SettingsError):
        read_settings(directory)


def test_settings_of_a_newer_version_keep_their_known_part(directory: Path) -> None:
    (directory / "settings").write_bytes(b'{"broker": "mqtt://host", "more": "of it"}')
    (directory / "settings").chmod(0o600)
    assert read_settings(directory).broker == "mqtt://host"


def test_settings_open_to_others_are_refused(directory: Path) -> None:
    trust_root(directory, pem(Identity.generate()), broker="mqtt://user:secret@host")
    (directory / "settings").chmod(0o644)
    with pytest.raises(LoosePermissionsError):
        read_settings(directory)


def test_a_password_file_holds_it_in_its_first_line(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim\n# a remark\n")
    assert read_password(tmp_path / "password") == "geheim"
    (tmp_path / "password").write_text("")
    with pytest.raises(SettingsError):
        read_password(tmp_path / "password")


def test_a_broker_url_is_taken_apart_and_shown_without_its_password() -> None:
    url = BrokerUrl.parse("mqtts://us%40er:p%3Aw@[::1]:1")
    assert (url.host, url.port, url.tls) == ("::1", 1, True)
    assert (url.user, url.password) == ("us@er", "p:w")
    assert str(url) == "mqtts://[::1]:1"
    assert BrokerUrl.parse("mqtt://host").port == 1883
    assert BrokerUrl.parse("mqtts://host").port == 8883


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host",
        "http://host",
        "mqtt://",
        "mqtt://host/topic",
        "mqtt://host?x=1",
        "mqtt://host:0",
        "mqtt://host:port",
        "mqtt://host:99999",
        "mqtt://:secret@host",
    ],
)
def test_a_wrong_broker_url_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        BrokerUrl.parse(url)
    assert "secret" not in str(caught.value)
