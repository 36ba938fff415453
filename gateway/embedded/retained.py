"""The messages published with RETAIN, found by filter without looking at every one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .packets import Message


class _Node:
    __slots__ = ("children", "message")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.message: Message | None = None

    def subtree(self) -> Iterator[Message]:
        if self.message is not None:
            yield self.message
        for child in self.children.values():
            yield from child.subtree()


class Retained:
    """One message a topic, in memory.

    Topics begin with the prefix, hence never with ``$``: only gateways retain, and only below it.
    Their depth is bounded by `gateway.access`, hence so is the recursion.
    """

    def __init__(self) -> None:
        self._root = _Node()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def keep(self, message: Message) -> None:
        """Retain the message in place of an older one (MQTT 3.1.1, 3.3.1.3)."""
        node = self._root
        for level in message.topic.split("/"):
            node = node.children.setdefault(level, _Node())
        self._count += node.message is None
        node.message = message

    def clear(self, topic: str) -> None:
        """Forget the topic's message, if there is one."""
        path = [("", self._root)]
        for level in topic.split("/"):
            node = path[-1][1].children.get(level)
            if node is None:
                return
            path.append((level, node))
        self._count -= path[-1][1].message is not None
        path[-1][1].message = None
        for (_, parent), (level, node) in zip(reversed(path[:-1]), reversed(path[1:]), strict=True):
            if node.children or node.message is not None:
                return
            del parent.children[level]

    def get(self, topic: str) -> Message | None:
        return next(_matching(self._root, topic.split("/")), None)

    def matching(self, topic_filter: str) -> Iterator[Message]:
        """The messages whose topics match; nothing may be retained or cleared meanwhile."""
        return _matching(self._root, topic_filter.split("/"))


def _matching(node: _Node, levels: Sequence[str]) -> Iterator[Message]:
    if not levels:
        if node.message is not None:
            yield node.message
    elif levels[0] == "#":  # the level above it matches as well (MQTT 3.1.1, 4.7.1.2)
        yield from node.subtree()
    elif levels[0] == "+":
        for child in node.children.values():
            yield from _matching(child, levels[1:])
    elif (child := node.children.get(levels[0])) is not None:  # type: ignore[assignment]
        yield from _matching(child, levels[1:])
