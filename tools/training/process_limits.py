"""What a worker process may use, and how it ends with its parent (Linux; elsewhere less)."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

import psutil

MIB = 2**20
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Asks the kernel to kill this process when its parent ends (Linux; else does nothing).

    The reader of standard input notices the same everywhere, but a library that holds the
    interpreter lock could keep it waiting.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def cap_memory(memory_mib: float) -> float:
    """Lets this process grow until it holds about `memory_mib`; returns the room left, MiB.

    On Linux an allocation beyond that fails (RLIMIT_AS above what is mapped now). Elsewhere the
    limit is not kept by the kernel and the parent's watchdog alone does it.
    """
    room_mib = memory_mib - held_mib(os.getpid())
    if sys.platform == "linux" and room_mib > 0:
        limit = int((_status_mib("VmSize") + room_mib) * MIB)
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard == resource.RLIM_INFINITY or limit < hard:
            resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    return room_mib


def held_mib(pid: int) -> float:
    """Returns what a process holds of memory, in MiB; 0 for one that has ended.

    On Linux without mapped files: how much of torch's libraries is resident depends on the page
    cache (77 to 393 MiB were seen), is shared by all workers, and can be dropped at any time.
    """
    if sys.platform == "linux":
        return _status_mib("RssAnon", pid) + _status_mib("RssShmem", pid)
    try:
        return float(psutil.Process(pid).memory_info().rss / MIB)
    except psutil.NoSuchProcess:
        return 0.0


def start_peak() -> None:
    """Starts a new measurement of the peak, where the kernel can (Linux)."""
    if sys.platform == "linux":
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return  # some containers forbid it: the peak is then that of the process's life


def peak_mib() -> float:
    """Returns the highest resident size since `start_peak`, in MiB."""
    return _status_mib("VmHWM") if sys.platform == "linux" else _highest_mib()


def _highest_mib() -> float:
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest / (MIB if sys.platform == "darwin" else 1024)


def _status_mib(key: str, pid: int | str = "self") -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    for line in text.splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    return 0.0
