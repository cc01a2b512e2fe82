"""A real kernel, driven as a front end drives it."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client import KernelManager
from jupyter_client.blocking.client import BlockingKernelClient

ROOT = Path(__file__).parents[2]
PATIENCE_S = 100.0


@dataclass
class Told:
    """What a cell said: its text, displays as they were shown and drawn again, its error."""

    text: str = ""
    shown: list[dict[str, str]] = field(default_factory=list)
    updates: list[dict[str, str]] = field(default_factory=list)
    error: str | None = None
    traceback: list[str] = field(default_factory=list)


@dataclass
class Front:
    """A front end of one kernel."""

    manager: KernelManager
    client: BlockingKernelClient

    def run(self, code: str, *, during: Callable[[Told], None] | None = None) -> Told:
        """Runs a cell to its end; `during` is called after each message."""
        cell, told = self.client.execute(code), Told()
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            message = self.client.get_iopub_msg(timeout=PATIENCE_S)
            kind, content = message["msg_type"], message["content"]
            if kind == "update_display_data":  # told by its id, whichever cell is at work
                told.updates.append(content["data"])
            elif message["parent_header"].get("msg_id") != cell:
                continue
            elif kind == "stream":
                told.text += content["text"]
            elif kind in ("display_data", "execute_result"):
                told.shown.append(content["data"])
            elif kind == "error":
                told.error, told.traceback = content["ename"], content["traceback"]
            elif kind == "status" and content["execution_state"] == "idle":
                return told
            if during is not None:
                during(told)
        raise TimeoutError(code)


@contextmanager
def kernel(folder: Path, **variables: str) -> Iterator[Front]:
    """Starts a kernel that talks over files in `folder`, and ends it."""
    manager: Any = KernelManager(transport="ipc", ip=str(folder / "k"))
    manager.kernel_spec.argv[0] = sys.executable
    paths = [str(ROOT / "src"), str(ROOT / "tests")]
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "IPYTHONDIR": str(folder)}
    manager.start_kernel(env=here | variables, cwd=str(folder))
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=PATIENCE_S)
        yield Front(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
