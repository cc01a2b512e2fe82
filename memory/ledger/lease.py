"""Who is alive: whether the driver that a row names still works."""

from __future__ import annotations

import os
import socket
from datetime import datetime
from functools import cache

STALE_S = 30.0


@cache
def this_host() -> str:
    """Returns the name of this machine."""
    return socket.gethostname()


def is_live(host: str | None, pid: int | None, heartbeat: datetime | None, at: datetime) -> bool:
    """Returns whether a driver may still be working: a fresh heartbeat and, here, a process."""
    if heartbeat is None or (at - heartbeat).total_seconds() >= STALE_S:
        return False
    return pid is None or host != this_host() or _is_running(pid)


def _is_running(pid: int) -> bool:
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    import psutil  # only here: most questions are answered above

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
