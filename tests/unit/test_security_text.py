"""SECURITY.md names a test for each attempt of an operator, and each of them is there."""

import re
from pathlib import Path

TOP = Path(__file__).parents[2]


def test_every_test_that_the_text_names_exists() -> None:
    text = (TOP / "SECURITY.md").read_text()
    named = set(re.findall(r"`((?:\w+/)?test_\w+\.py)::(test_\w+)`", text))
    assert len(named) > 15
    for file, test in sorted(named):
        (path,) = TOP.joinpath("tests").rglob(file)
        assert re.search(rf"def {test}\(", path.read_text()), f"{file}::{test}"
