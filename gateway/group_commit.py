"""Many small transactions as one: what is asked for during a commit shares the next commit."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from gateway.store.port import Transaction

T = TypeVar("T")
Run = Callable[[Callable[[Transaction], None]], Awaitable[None]]


class GroupCommit:
    """Runs work in transactions of ``run``, which returns once they are on disk."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._asked: list[_Work[Any]] = []
        self._writer: asyncio.Task[None] | None = None

    async def do(self, work: Callable[[Transaction], T]) -> T:
        """Return what ``work`` returns, once it is on disk.

        Raises whatever ``work`` raises; that undoes nothing of what shared its transaction, as
        that is then done anew without it.
        """
        asked = _Work(work)
        self._asked.append(asked)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.ensure_future(self._write())
        return await asked.done

    async def stop(self) -> None:
        """Do nothing more: nobody waits for it."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait([self._writer])

    async def _write(self) -> None:
        while self._asked:
            group, self._asked = self._asked, []
            if not await self._commit(group) and len(group) > 1:
                for one in group:
                    await self._commit([one])

    async def _commit(self, group: "list[_Work[Any]]") -> bool:
        def do_all(tx: Transaction) -> None:
            for one in group:
                one.do(tx)

        try:
            await self._run(do_all)
        except Exception as error:  # noqa: BLE001 - it is raised to whoever asked for the work
            if len(group) == 1:
                group[0].fail(error)
            return False
        for one in group:
            one.succeed()
        return True


class _Work(Generic[T]):
    def __init__(self, work: Callable[[Transaction], T]) -> None:
        self._work = work
        self._result: T
        self.done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def do(self, tx: Transaction) -> None:
        self._result = self._work(tx)

    def succeed(self) -> None:
        if not self.done.done():  # else it was given up in the meantime
            self.done.set_result(self._result)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
