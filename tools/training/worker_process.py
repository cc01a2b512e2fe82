"""One worker process seen from its parent: started, talked to, watched, killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import SubprocessStreamProtocol
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psutil

from vitruvius.tools.training.process_limits import held_mib
from vitruvius.tools.training.worker_setup import Setup

WATCH_S = 0.5  # between looks at what a worker and its children hold
REAP_S = 5.0  # for a process that was killed to be gone
MESSAGE_BYTES = 2**16  # of a line; outcomes and weights travel as files, so lines are short
ERROR_BYTES = 4000  # of standard error, kept for the message about a crash
THREAD_VARIABLES = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM")


class WorkerProcess:
    """A running worker. Whatever happens to it shows as the end of its messages."""

    def __init__(
        self, process: asyncio.subprocess.Process, transport: asyncio.SubprocessTransport
    ) -> None:
        self._process = process
        self._transport = transport
        self._errors: deque[int] = deque(maxlen=ERROR_BYTES)
        self._pump = asyncio.create_task(self._keep_errors())
        self._family: list[psutil.Process] = []
        self.over_mib: float | None = None  # what it held when the watchdog killed it

    @classmethod
    async def start(cls, setup: Setup) -> WorkerProcess:
        """Returns a process that has been sent its setup; it is not ready yet."""
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            lambda: SubprocessStreamProtocol(limit=MESSAGE_BYTES, loop=loop),
            # -P: no file of the working folder stands in for a module of ours
            *(sys.executable, "-P", "-m", "vitruvius.tools.training.worker"),
            start_new_session=True,  # out of reach of Ctrl-C, and one group to kill
            env=environment(os.environ, setup),
        )
        worker = cls(asyncio.subprocess.Process(transport, protocol, loop), transport)
        try:
            await worker.send(setup.to_json())
        except asyncio.CancelledError:
            await worker.stop()
            raise
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    async def send(self, text: str) -> None:
        """Sends one line; a worker that is gone shows at the next `receive`."""
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(BrokenPipeError, ConnectionResetError):
            pipe.write(text.encode() + b"\n")
            await pipe.drain()

    async def receive(self, timeout_s: float) -> dict[str, Any] | None:
        """Returns the next message, or None if the worker has ended.

        Raises:
            TimeoutError: if nothing comes for `timeout_s` seconds.
        """
        pipe = self._process.stdout
        assert pipe is not None
        async with asyncio.timeout(timeout_s):
            line = await pipe.readline()
        if not line.endswith(b"\n"):
            return None
        message: dict[str, Any] = json.loads(line)
        return message

    def forget_errors(self) -> None:
        """Drops what was said so far: the next crash is explained by what comes now."""
        self._errors.clear()

    async def watch(self, memory_mib: float) -> None:
        """Kills the worker once it and its children hold more than `memory_mib` MiB."""
        while True:
            held_mib = await asyncio.to_thread(self._measure)
            if held_mib > memory_mib:
                self.over_mib = held_mib
                self._kill_group()
                return
            await asyncio.sleep(WATCH_S)

    async def stop(self) -> None:
        """Kills the process group and reaps the worker; may be called again."""
        self._kill_group()
        # what left the group when it was last measured is killed one by one
        if self._family:
            await asyncio.to_thread(_kill_all, self._family)
        with suppress(TimeoutError):  # a process that fled the group may hold the pipes open
            async with asyncio.timeout(REAP_S):
                await self._process.wait()
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        self._transport.close()  # the pipes too: nothing is left for a later garbage collection

    async def epitaph(self) -> str:
        """Returns how the ended worker ended and its last words on standard error."""
        with suppress(TimeoutError):
            async with asyncio.timeout(REAP_S):
                await self._process.wait()
                await asyncio.shield(self._pump)
        words = bytes(self._errors).decode(errors="replace").strip()
        return f"{_how(self._process.returncode)}; its last words: {words or '(none)'}"

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _measure(self) -> float:
        """Returns what the worker and all below it hold of memory, in MiB."""
        with suppress(psutil.NoSuchProcess):
            self._family = psutil.Process(self.pid).children(recursive=True)
        return held_mib(self.pid) + sum(held_mib(process.pid) for process in self._family)

    async def _keep_errors(self) -> None:
        pipe = self._process.stderr
        assert pipe is not None
        while part := await pipe.read(2**16):
            self._errors.extend(part[-ERROR_BYTES:])


def environment(inherited: Mapping[str, str], setup: Setup) -> dict[str, str]:
    """Returns a worker's environment: its threads set before torch is loaded, no keys."""
    kept = {name: value for name, value in inherited.items() if "API_KEY" not in name}
    return kept | {
        **{f"{library}_NUM_THREADS": str(setup.threads) for library in THREAD_VARIABLES},
        "OMP_WAIT_POLICY": "passive",  # spinning threads starve the other workers
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # cuBLAS repeats its numbers only with this
        "PYTHONPATH": os.pathsep.join(setup.path),
        "PYTHONUNBUFFERED": "1",
    }


def _kill_all(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _how(returncode: int | None) -> str:
    if returncode is None:
        return "did not end"
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    try:
        return f"was killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was killed by signal {-returncode}"
