"""Writes the known-answer vectors: ``python -m tests.vectors.generate``.

Every run writes the same bytes: keys are published ones, signatures are deterministic, and what is
random elsewhere is derived from the name of what it is for.
"""
