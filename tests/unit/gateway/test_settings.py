"""Settings: three layers, one-line errors."""

from pathlib import Path

import pytest

from gateway.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEALGATE_DATA", "SEALGATE_LISTEN", "SEALGATE_PREFIX"):
        monkeypatch.delenv(name, raising=False)


def test_only_the_data_directory_has_no_default(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path)
    assert settings.address is None
    assert settings.listen_address == ("127.0.0.1", 1883)
    assert settings.prefix == "sealgate/1"
    with pytest.raises(SettingsError, match="--data"):
        load_settings()


def test_options_win_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gateway.toml").write_text('listen = "127.0.0.1:1"\nprefix = "file"\nwatch = 5\n')
    monkeypatch.setenv("SEALGATE_LISTEN", "127.0.0.1:2")
    monkeypatch.setenv("SEALGATE_PREFIX", "environment")
    settings = load_settings(data=tmp_path, listen="127.0.0.1:3", prefix=None)
    assert settings.listen_address == ("127.0.0.1", 3)
    assert settings.prefix == "environment"
    assert settings.watch == 5


def test_the_data_directory_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gateway.toml").write_text('prefix = "file"\n')
    monkeypatch.setenv("SEALGATE_DATA", str(tmp_path))
    assert load_settings().prefix == "file"


def test_a_broker_url_is_taken_apart(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path, broker="mqtts://gw@broker:8884")
    assert settings.address is not None
    assert (settings.address.host, settings.address.port, settings.address.tls) == (
        "broker",
        8884,
        True,
    )


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"broker": "http://x"}, "broker"),
        ({"broker": "mqtt://u:secret@h/path"}, "broker"),
        ({"listen": "1883"}, "listen"),
        ({"listen": "localhost:99999"}, "listen"),
        ({"prefix": "with/+/wildcard"}, "prefix"),
        ({"sweep": 0}, "sweep"),
        ({"watch": -1}, "watch"),
        ({"max_payload": 10**9}, "max_payload"),
        ({"log_level": "loud"}, "log_level"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(
    tmp_path: Path, options: dict[str, object], name: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(data=tmp_path, **options)
    assert str(caught.value).startswith(f"{name}: ")
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_not_toml_or_has_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text("colour = 1\n")
    with pytest.raises(SettingsError, match="colour: there is no such setting"):
        load_settings(data=tmp_path)
    (tmp_path / "gateway.toml").write_text("=\n")
    with pytest.raises(SettingsError, match=r"gateway\.toml is not TOML"):
        load_settings(data=tmp_path)
