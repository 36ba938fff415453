"""Gathers a device's `Status` from its parts."""

from device_sdk.courier import Courier
from device_sdk.outbox.outgoing import State
from device_sdk.parts import Parts
from device_sdk.routing import Moment
from device_sdk.status import GatewayStatus, LogStatus, ReaderKeyStatus, Status
from device_sdk.times import as_datetime
from device_sdk.trust import Roster
from device_sdk.wire.state import ONLINE


def status_of(courier: Courier, copies_waiting: int | None) -> Status:
    """Return one moment's view. With the device's lock held."""
    parts, moment = courier.parts, courier.moment()
    roster, counts = parts.rosters.roster, parts.outbox.count_open()
    courier.router.compare_rosters(moment)
    return Status(
        name=parts.keystore.name,
        fleet=parts.pin.fingerprint,
        broker=str(courier.link),
        is_connected=courier.is_ready,
        problem=courier.problem,
        roster_version=roster.version if roster else 0,
        roster_expires=as_datetime(roster.expires) if roster else None,
        is_roster_valid=roster is not None and moment.now < roster.expires,
        is_admitted=roster is not None and _is_admitted(parts, roster, moment),
        reading_channels=_reading_channels(parts.keystore.name, roster) if roster else (),
        tokens=_tokens(parts, roster, moment) if roster else {},
        reader_keys=tuple(
            ReaderKeyStatus(
                serial=own.statement.serial,
                not_before=as_datetime(own.statement.not_before),
                not_after=as_datetime(own.statement.not_after),
            )
            for own in parts.keystore.reader_keys
        ),
        gateway=_gateway(parts, moment),
        log=_log(parts, moment),
        log_reports=tuple(parts.log.reports()),
        copies_waiting=copies_waiting,
        messages_waiting=counts.get(State.WAITING, 0),
        messages_held=counts.get(State.HELD, 0),
        warnings=parts.watch.warnings(roster, moment.now),
    )


def _is_admitted(parts: Parts, roster: Roster, moment: Moment) -> bool:
    name = parts.keystore.name
    return (
        roster.is_active(name, moment.now)
        and parts.keystore.identity.spki in roster.devices[name].identities
    )


def _reading_channels(name: str, roster: Roster) -> tuple[str, ...]:
    return tuple(
        channel
        for channel, entry in sorted(roster.channels.items())
        if entry.reading is not None and name in (*entry.readers, *entry.senders)
    )


def _tokens(parts: Parts, roster: Roster, moment: Moment) -> dict[str, int]:
    purse = parts.purse
    return {
        channel: purse.left(channel, rule, moment.now)
        for channel, rule in sorted(purse.keys.rules(roster).items())
    }


def _gateway(parts: Parts, moment: Moment) -> GatewayStatus | None:
    online = parts.gateways.online(moment.now, moment.tick)
    state = online or parts.gateways.latest()
    if state is None:
        return None
    silent = state.status == ONLINE and online is None
    return GatewayStatus(
        name=state.gateway,
        status="silent" if silent else state.status,
        heard_at=as_datetime(state.time),
        software=state.software,
        roster_version=state.roster_version,
    )


def _log(parts: Parts, moment: Moment) -> LogStatus | None:
    shown = parts.log.believed(moment.now)
    if shown is None:
        return None
    at = as_datetime(shown.head.time)
    return LogStatus(gateway=shown.gateway, size=shown.head.size, at=at)
