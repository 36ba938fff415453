"""Small bursts: how much of the inboxes is asked for at once."""

from gateway.shares import BURST, Shares


def groups(shares: Shares, brought: dict[str, int]) -> list[list[str]]:
    found = []
    while names := shares.take():
        found.append(names)
        shares.note_brought(sum(brought.get(name, 0) for name in names))
    return found


def test_everybody_is_asked_for_once_and_groups_grow_while_little_comes() -> None:
    names = {f"reader-{number:03}": 0 for number in range(300)}
    found = groups(Shares(names), {})
    assert [name for group in found for name in group] == sorted(names)
    assert [len(group) for group in found][:8] == [1, 2, 4, 8, 16, 32, 64, 64]


def test_a_group_expects_no_more_than_a_burst_unless_one_alone_has_more() -> None:
    expected = {"a": 10, "b": 10, "c": BURST + 1, "d": BURST, "e": 1}
    assert groups(Shares(expected), expected) == [["a"], ["b"], ["c"], ["d"], ["e"]]


def test_after_more_than_was_expected_one_is_asked_for_at_a_time_again() -> None:
    names = {f"r{number}": 0 for number in range(9)}
    assert groups(Shares(names), {"r2": BURST + 1}) == [
        ["r0"],
        ["r1", "r2"],
        ["r3"],
        ["r4", "r5"],
        ["r6", "r7", "r8"],
    ]
