"""Which numbers of a sender's series have not arrived here: what `Message.missed` says.

What was shown or answered is stored as arrived; what waits in memory, or is just being opened, has
arrived as well.
"""

from collections.abc import Iterable

from device_sdk.inbox.store import InboxStore, News
from device_sdk.series import Heard, Place
from device_sdk.state.series_store import SeriesKey
from device_sdk.wire.anonymous import AnyHeader
from device_sdk.wire.limits import MAX_LIFETIME


def news_of(store: InboxStore, header: AnyHeader, trusted: int) -> News | None:
    """Return what a message's arrival says about its series; None if it says nothing new."""
    key, number = _place(header)
    if not key.series:
        return None
    known = store.series.get(key)
    if known is None:
        return key, Heard(highest=number)
    # What is missing was sealed before this one, by its sender's clock and by ours.
    heard = known.hear(number, until=max(trusted, header.issued) + MAX_LIFETIME)
    return None if heard == known else (key, heard)


def missed_before(
    store: InboxStore, header: AnyHeader, arrived: Iterable[AnyHeader], trusted: int
) -> tuple[range, ...]:
    """Return the numbers before a message that has been stored which have not arrived."""
    key, number = _place(header)
    known = store.series.get(key) if key.series else None
    if known is None or not known.gaps:
        return ()
    places = map(_place, arrived)
    numbers = {other for series, other in places if series == key}
    return known.missed(number, arrived=numbers, now=trusted)


def _place(header: AnyHeader) -> tuple[SeriesKey, int]:
    place = Place.of(header.sequence)
    return SeriesKey(header.sender, header.channel, place.series), place.number
