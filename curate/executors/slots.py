"""Which tasks may be in flight together in one worker."""

from __future__ import annotations

from collections.abc import Sequence

from curate.tasks import Task

__all__ = ["has_room"]


def has_room(running: Sequence[Task], task: Task, in_flight: int) -> bool:
    """Say whether a worker that runs `running` may take `task` too.

    Only tasks of one pass share a worker, at most `in_flight` of them. A unit over which a worker has died
    runs by itself, so that the next death has one suspect.
    """
    if not running:
        return True
    together = not task.alone and all(other.pass_name == task.pass_name for other in running)
    return together and not any(other.alone for other in running) and len(running) < in_flight
