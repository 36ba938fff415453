"""Zero-knowledge proofs about sealed numbers: verified without being seen.

*Experimental until externally reviewed.* Needs ``pip install 'sealgate[proofs]'``.

A sender commits to its reading with a random blinding, C = value*G + blinding*H, and proves that
the value lies within the channel's range; whoever holds C and the proof checks it and learns
nothing else::

    blinding = pedersen.random_blinding()
    commitment = pedersen.commit(215, blinding)
    proof = range_proof.prove(215, blinding, low=-400, high=1250, tag=tag)

    range_proof.verify(proof, commitment, low=-400, high=1250, tag=tag)  # or ProofError
    pedersen.opens(commitment, 215, blinding)  # True: for the reader, who was sent both

Commitments hide values unconditionally; soundness and binding rest on the discrete logarithm in
ristretto255 (RFC 9496) and on the random-oracle model; nothing here is post-quantum. A proof shows
that a number is in range, not that it is true. The tag says what the proof is for: a proof with
another tag, commitment or range is refused, so put everything there that a proof must not be moved
away from.

The proofs are those of draft-irtf-cfrg-sigma-protocols over draft-irtf-cfrg-fiat-shamir, each
module one idea: `sponge` and `codecs` make challenges, `group` is ristretto255, `linear_relation`
states what is proved, `sigma` proves any such statement, `pedersen` commits and adds up, `opening`
and `range_proof` are the two statements of Sealgate. Everything is bytes: points and scalars are
canonical encodings of 32 bytes. No sockets, files or clocks; provers draw from the operating
system's randomness. Python cannot promise constant time: what is secret meets no branch, index or
shortcut here, and only the library's arithmetic.
"""
