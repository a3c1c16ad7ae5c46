"""Ends a process at each of its system calls that change a file, one after the other: what is left must be usable."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any, Final

_WRITES: Final = ("write", "pwrite")
_OTHERS: Final = ("ftruncate", "truncate", "fsync", "fdatasync", "replace", "rename", "unlink", "rmdir", "mkdir")
_CALLS: Final = (*_WRITES, *_OTHERS)
MOST_POINTS: Final = 2_000


def kill_points(prepare: Callable[[], None], work: Callable[[], None], every: int = 1) -> Iterator[int]:
    """For each ``every``-th such call of ``work``: prepares, forks, runs it and ends at that call; gives its number.

    A write is left half done. Ends with the first number that ``work`` does not reach; that one is given too.
    """
    for point in itertools.count(0, every):
        assert point < MOST_POINTS
        prepare()
        ended_early = _run(work, point)
        yield point
        if not ended_early:
            return


def _run(work: Callable[[], None], point: int) -> bool:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _arm(point)
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 9), "the work failed by itself"
    return code == 9


def _arm(point: int) -> None:
    calls = itertools.count()

    def wrap(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any, **how: Any) -> Any:
            if next(calls) == point:
                if name in _WRITES:
                    handle, data, *rest = arguments
                    real(handle, bytes(data)[: len(data) // 2], *rest)
                os._exit(9)
            return real(*arguments, **how)

        return call

    for name in _CALLS:
        setattr(os, name, wrap(name))
