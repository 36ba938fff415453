"""What can be set about a gateway: by options, by SEALGATE_* in the environment, by gateway.toml.

In this order: what stands first wins. Everything has a default but the data directory.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from device_sdk.wire.limits import (
    DAY,
    MAX_LIFETIME,
    MAX_PAYLOAD,
    MAX_READERS,
    TOTALS_KEPT,
)
from device_sdk.wire.topics import DEFAULT_PREFIX
from gateway.access import check_prefix
from gateway.errors import GatewayError
from gateway.link.address import BrokerAddress, BrokerAddressError, parse_address

SETTINGS_FILE = "gateway.toml"
_PREFIX = "SEALGATE_"
Seconds = Annotated[float, Field(gt=0)]


class SettingsError(GatewayError):
    """A setting that is missing, unknown or of another form than expected; one line."""


def _check_url(url: str) -> str:
    try:
        parse_address(url)
    except BrokerAddressError as error:
        raise ValueError(str(error)) from None
    return url


class Settings(BaseSettings):
    """Frozen settings of one gateway. Made by `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, extra="forbid", env_ignore_empty=True
    )

    data: Path
    """The gateway's own directory: identity, ledger, gateway.toml."""
    bundle: Path | None = None
    """The owner's public bundle; without it the roster in the ledger goes on counting."""
    passphrase_file: Path | None = None
    """Of the gateway's identity."""

    broker: Annotated[str, AfterValidator(_check_url)] | None = None
    """URL of the broker; without one the embedded broker runs."""
    listen: str = "127.0.0.1:1883"
    """Where the embedded broker listens; port 0 is a free one."""
    password_file: Path | None = None
    """Password of the URL's user."""
    ca: Path | None = None
    """Authorities in PEM that may vouch for the broker; the system's own without it."""
    prefix: Annotated[str, AfterValidator(check_prefix)] = DEFAULT_PREFIX

    max_payload: Annotated[int, Field(ge=1, le=MAX_PAYLOAD)] = MAX_PAYLOAD
    max_readers: Annotated[int, Field(ge=1, le=MAX_READERS)] = MAX_READERS
    max_lifetime: Annotated[int, Field(ge=60, le=MAX_LIFETIME)] = MAX_LIFETIME
    totals_days: Annotated[int, Field(ge=1, le=TOTALS_KEPT // DAY)] = TOTALS_KEPT // DAY
    """How long commitments to readings are kept, on channels whose owner allows totals."""

    state_interval: Seconds = 30.0
    """Between two signed states."""
    watch: Annotated[float, Field(ge=0)] = 90.0
    """How long another gateway's prefix is watched for a sign of life before it is taken over."""
    sweep: Seconds = 600.0
    """Between two looks at everything retained."""
    tick: Seconds = 5.0
    """Between two looks at what is due: expiry, republication, erasure."""
    bundle_poll: Seconds = 1.0
    """Between two looks at the bundle's files."""

    confirm_clock: bool = False
    """Believe the machine's clock at this start, however far it is ahead of the ledger."""

    metrics_file: Path | None = None
    """Written at every tick with figures in Prometheus' text format; outside of ``data``."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"

    @property
    def address(self) -> BrokerAddress | None:
        """The broker URL taken apart; None if the embedded broker runs."""
        return None if self.broker is None else parse_address(self.broker)

    @property
    def listen_address(self) -> tuple[str, int]:
        """Host and port of the embedded broker. Raises SettingsError."""
        host, _, port = self.listen.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 0xFFFF:
            raise SettingsError(f"listen: expected HOST:PORT, got {self.listen!r}")
        return host.strip("[]"), int(port)


def load_settings(**options: Any) -> Settings:
    """Return the settings; options that are None do not count.

    Raises:
        SettingsError: something is missing, unknown or wrong, in one line that names it.
    """
    given = {name: value for name, value in options.items() if value is not None}
    data = given.get("data") or os.environ.get(f"{_PREFIX}DATA")
    if not data:
        raise SettingsError("data: expected the gateway's data directory (--data), got nothing")

    file = Path(str(data)) / SETTINGS_FILE

    class _Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            toml = TomlConfigSettingsSource(settings_cls, file)
            return init_settings, env_settings, toml

    try:
        settings = _Layered(**given)
        _ = settings.listen_address
    except ValidationError as error:
        raise SettingsError(_first_line(error)) from None
    except ValueError as error:
        raise SettingsError(f"{file} is not TOML: {error}") from error
    return settings


def _first_line(error: ValidationError) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"]) or "settings"
    if first["type"] == "extra_forbidden":
        return f"{name}: there is no such setting"
    return f"{name}: {first['msg'].removeprefix('Value error, ')}"
