"""vLLM's processes end with the worker that started them, also where it was killed and could not say so.

vLLM ends its engine when it is shut down; an engine whose starter was killed lives on, with a GPU's memory.
This is a plugin of vLLM (entry points, group vllm.general_plugins), so it is called in each of its processes;
those that `VllmEngine` did not start it leaves alone.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from time import sleep
from typing import Any, Final

__all__ = ["end_with_owner", "mark_owner"]

OWNER: Final = "COGCURATE_VLLM_OWNER"
_EVERY_S = 1.0


def mark_owner() -> None:
    """Make this process the one that vLLM's processes, started from now on, end with."""
    import psutil

    os.environ[OWNER] = f"{os.getpid()} {psutil.Process().create_time()}"


def end_with_owner() -> None:
    """Watch over the owner from a thread, if there is one and it is not this process; end when it has."""
    import psutil

    pid, _, created = os.environ.get(OWNER, "").partition(" ")
    if not pid or int(pid) == os.getpid():
        return
    try:
        owner = psutil.Process(int(pid))
        alive = abs(owner.create_time() - float(created)) < 1
    except psutil.NoSuchProcess:
        alive = False
    if not alive:  # killed while this process was starting
        os._exit(1)
    threading.Thread(target=_watch, args=(owner,), name="end-with-owner", daemon=True).start()


def _watch(owner: Any) -> None:
    import psutil

    with suppress(psutil.NoSuchProcess):
        while owner.is_running() and owner.status() != psutil.STATUS_ZOMBIE:
            sleep(_EVERY_S)
    os._exit(1)
