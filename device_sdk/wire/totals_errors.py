"""What can be wrong with a total, and who did it (PROTOCOL 18). No text quotes a reading."""

from device_sdk.wire.errors import SealgateError


class TotalsError(SealgateError):
    """The root of everything below.

    Attributes:
        what: the request, answer or part that is wrong.
        expected: what it should have been.
        got: what it was.
        todo: what to do about it.
        who: the device, trustee or gateway whose doing it is; empty if that is not known.
    """

    def __init__(self, what: str, *, expected: str, got: str, todo: str, who: str = "") -> None:
        super().__init__(f"{what}: expected {expected}, got {got}; {todo}")
        self.what, self.expected, self.got = what, expected, got
        self.todo, self.who = todo, who


class RequestError(TotalsError):
    """A request that a device or trustee does not answer. Nothing was told or changed."""


class NotAllowedError(RequestError):
    """The owner's roster does not allow this total, or not by this gateway or of this device."""


class EpochError(RequestError):
    """Not whole epochs, or epochs that have not ended."""


class OverlapError(RequestError):
    """A total that was answered before covers a part of it: the difference would tell too much."""


class TooFewError(RequestError):
    """Fewer readings of one price, or fewer devices, than the owner demands."""


class ForeignReadingError(RequestError):
    """A reading that this device did not send, has totalled, or keeps no longer."""


class CommitmentDiffersError(RequestError):
    """A commitment that is not the one that this device made: the gateway has changed it."""


class WrongTotalError(TotalsError):
    """A total that does not open the sum of the commitments: ``who`` has told a wrong one."""


class OtherRequestError(TotalsError):
    """An answer or report about another request, or by somebody who was not asked."""


class LacksReadingsError(TotalsError):
    """A trustee cannot add up some of the readings: make a request without them."""


class InconsistentSharesError(TotalsError):
    """A device has shared one reading out in two ways; or a trustee reports what nobody signed."""
