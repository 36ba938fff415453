"""The tag of a proof: which argument it is, and what it was made for (PROTOCOL 20.2)."""

from device_sdk.proofs.codecs import serialize_var_len
from device_sdk.proofs.group import RISTRETTO255
from device_sdk.proofs.sigma import COMPACT


def argument_tag(argument: str, purpose: bytes) -> bytes:
    """Return the label of an argument of Sealgate, then the caller's tag with its length before it.

    ``argument`` is upper-case and free of ``-``, so that no label is the beginning of another. The
    label names the argument and thereby its messages, the flavour, and with the suite the group,
    the codecs and the hash.
    """
    label = f"SEALGATE-V01-{argument}-{COMPACT}-with-{RISTRETTO255.suite}"
    return label.encode() + serialize_var_len(purpose)
