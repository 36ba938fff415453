"""One look of ``sealgate audit``: at the broker first, then at the data directory."""

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace

from device_sdk.wire.topics import Topics
from gateway import audit_broker, audit_files, audit_rows
from gateway.admit import stored_roster
from gateway.audit import Look
from gateway.audit_broker import Retained
from gateway.audit_files import AuditError
from gateway.bundle import ROOT_FILE, read_root
from gateway.certificates import read_certificates
from gateway.link.address import BrokerAddress
from gateway.link.paho import PahoLink
from gateway.link.port import Credentials
from gateway.login import OPERATOR, OPERATOR_FILE
from gateway.secret_files import read_password
from gateway.settings import Settings
from gateway.situation import Situation
from gateway.store.sqlite import LEDGER_FILE, look_into
from gateway.store.sqlite_reading import SqliteReading

_CONNECT_SECONDS = 15.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


async def look_at(settings: Settings) -> Look:
    """Look once. Raises SealgateError: why that cannot be done."""
    files = len(audit_files.files_in(settings.data))
    address = settings.address
    found = None if address is None else await _retained(settings, address)
    # In a thread, as a large ledger takes seconds.
    look = await asyncio.to_thread(_look_at_data, settings, found)
    topics = None if found is None else len(found)
    return replace(look, files=files, topics=topics, notes=audit_broker.notes(found or {}))


async def _retained(settings: Settings, address: BrokerAddress) -> dict[str, Retained]:
    credentials = _credentials(settings, address)
    link = PahoLink(
        address,
        client_id=f"audit-{secrets.token_hex(8)}",
        credentials=lambda: credentials,
        ca=settings.ca,
        lasting=False,
    )
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            connection = await link.connect()
    except TimeoutError:
        raise AuditError(
            f"no connection to {address} within {_CONNECT_SECONDS:.0f} s: "
            "is it there, and are user and password right?"
        ) from None
    try:
        return await audit_broker.retained(connection, Topics(settings.prefix))
    finally:
        await connection.close()


def _credentials(settings: Settings, address: BrokerAddress) -> Credentials | None:
    if address.user:
        return address.credentials(read_password(settings.password_file))
    # The operator of the gateway's own broker; its password goes to no other machine.
    own = (*_LOOPBACK, settings.listen_address[0])
    file = settings.data / OPERATOR_FILE
    if address.host not in own or not file.exists():
        return None
    return Credentials(user=OPERATOR, password=read_password(file) or "")


def _look_at_data(settings: Settings, found: Mapping[str, Retained] | None) -> Look:
    ledger = settings.data / LEDGER_FILE
    known = (settings.password_file, settings.passphrase_file, settings.ca, settings.bundle)
    with look_into(ledger) as connection:
        reading = SqliteReading(connection)
        now = audit_rows.present(reading.high_water(), int(time.time()))
        findings = [
            *audit_files.foreign_files(settings.data, LEDGER_FILE, filter(None, known)),
            *audit_rows.overdue_rows(connection, now),
            *audit_files.strays(ledger, connection),
        ]
        if found is not None:
            pin = read_root(settings.data / ROOT_FILE)
            roster = stored_roster(reading, pin)
            bundle = settings.bundle
            certificates = read_certificates(bundle, roster, {}, now) if bundle and roster else None
            situation = Situation(pin=pin, roster=roster, now=now, certificates=certificates)
            topics = Topics(settings.prefix)
            findings += audit_broker.judge(reading, topics, situation, found)
        return Look(findings=tuple(findings), messages=audit_rows.count_held(connection))
