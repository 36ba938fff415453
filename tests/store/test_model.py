"""The gateway's verbs on every store, in any order, against a small reference model.

    MODEL_EXAMPLES=2000 .venv/bin/python -m pytest tests/store/test_model.py

looks for longer than the few seconds that it takes otherwise. A failure is printed as a program of
steps, with a line that reproduces it; ``--hypothesis-seed`` repeats a whole run.
"""

import os
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.store.machine import LedgerMachine
from tests.store.places import Place

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "25"))
STEPS = 50


def test_whatever_happens_the_ledger_says_what_the_reference_says(
    new_place: Callable[[Path], Place],
) -> None:
    class Machine(LedgerMachine):
        def __init__(self) -> None:
            super().__init__(new_place)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            # Every example has files of its own, and commits to them.
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
