"""How far long work is: a bar on a terminal, lines where they are asked for, nothing for scripts. All on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from carelane.cli._exit import tell
from carelane.controller.pipeline.progress import Progress, silent

__all__ = ["shown_progress"]

_TENTHS = 10


@contextmanager
def shown_progress(wanted: bool | None) -> Iterator[Progress]:
    """Tell what is yielded how far the work is. `wanted` None: where stderr is a terminal."""
    on_terminal = sys.stderr.isatty()
    if not (on_terminal if wanted is None else wanted):
        yield silent
    elif on_terminal:
        with _bars() as progress:
            yield progress
    else:
        yield _Lines()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("reading", total=None)
        last = "reading"

        def tell_bar(step: str, done: int, total: int) -> None:
            nonlocal last
            if step != last:
                last = step
                bars.reset(task, description=step, total=total)
            bars.update(task, completed=done, total=total)

        yield tell_bar


class _Lines:
    """A line at the beginning of each step and after each tenth of it."""

    def __init__(self) -> None:
        self._told = ("", 0)

    def __call__(self, step: str, done: int, total: int) -> None:
        now = (step, done * _TENTHS // max(total, 1))
        if now != self._told:
            self._told = now
            tell(f"{step}: {done} of {total}")
