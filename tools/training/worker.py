"""The worker process: `python -m vitruvius.tools.training.worker`, JSON lines on its pipes.

It reads a `Setup`, answers `ready`, then carries out one order a line. It says `beat` at least once
a second while it trains, and `outcome` once the outcome's file is in place; asked for scores, it
beats after each and answers `scores`.
"""

from __future__ import annotations

import faulthandler
import json
import os
import queue
import signal
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Any, cast

from vitruvius.errors import ConfigError
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import Fidelity
from vitruvius.tools.training.evaluation import Request, write_outcome
from vitruvius.tools.training.process_limits import cap_memory, die_with_parent
from vitruvius.tools.training.worker_setup import Setup, unpack

if TYPE_CHECKING:
    from vitruvius.spaces.space import SearchSpace
    from vitruvius.tools.training.trainer import Trainer

BEAT_S = 1.0  # far below the 120 s of silence after which a training counts as hung
LEAST_ROOM_MIB = 64.0


class Line:
    """The two pipes to the parent, out of reach of whatever user code prints or reads."""

    def __init__(self) -> None:
        self._in = _own_copy(0, "rb")
        self._out = _own_copy(1, "wb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)  # what is printed joins the errors
        self._messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True, name="line").start()

    def receive(self) -> bytes:
        return self._messages.get()

    def send(self, kind: str, **fields: Any) -> None:
        try:
            self._out.write(json.dumps({"kind": kind, **fields}).encode() + b"\n")
            self._out.flush()
        except OSError:
            _end()

    def _listen(self) -> None:
        for line in self._in:
            self._messages.put(line)
        _end()


def main() -> None:
    """Serves the parent until its end of the pipe closes."""
    faulthandler.enable()
    line = Line()
    setup = Setup.from_json(line.receive().decode())
    # first of all: what follows takes seconds, in which the parent may end
    die_with_parent(setup.parent)
    # before the space and the task: the user's modules are found as in the parent
    sys.path[:] = setup.path
    try:
        trainer = _prepare(setup)
    except ConfigError as error:
        line.send("refused", message=str(error))
        return
    line.send("ready")
    while True:
        order = json.loads(line.receive())
        if "proxies" in order:
            _score(order, trainer, line)
        else:
            _serve(order, trainer, setup, line)


def _prepare(setup: Setup) -> Trainer:
    import torch

    from vitruvius.tools.training.tensors import pick_device
    from vitruvius.tools.training.trainer import Trainer

    torch.set_num_threads(setup.threads)
    device = pick_device(setup.device)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", setup.slot % torch.cuda.device_count())
    trainer = Trainer(*unpack(setup), setup.folder, device)
    if setup.memory_mib is not None and device.type == "cpu":
        room_mib = cap_memory(setup.memory_mib)
        if room_mib < LEAST_ROOM_MIB:
            raise ConfigError(
                f"a worker may hold {setup.memory_mib:.0f} MiB, and an idle one already holds "
                f"{setup.memory_mib - room_mib:.0f} MiB; allow more memory or fewer workers"
            )
    return trainer


def _serve(order: dict[str, Any], trainer: Trainer, setup: Setup, line: Line) -> None:
    request = Request(
        result_id=order["result_id"],
        architecture=Architecture(order["architecture"]),
        fidelity=Fidelity(epochs=order["epochs"], data=order["data"]),
        seed=order["seed"],
        demands={int(epoch): value for epoch, value in (order["demands"] or {}).items()},
    )
    last = 0.0

    def beat(epoch: int, value: float | None) -> None:
        nonlocal last
        now = time.monotonic()
        if value is not None or now - last >= BEAT_S:
            last = now
            line.send("beat", epoch=epoch, value=value)

    try:
        outcome = trainer.carry_out(request, order["deadline_s"], beat)
        write_outcome(setup.folder, request, outcome)
    except OSError as error:
        line.send("unwritten", message=f"{error.strerror}: {error.filename or setup.run_dir}")
    else:
        line.send("outcome")


def _score(order: dict[str, Any], trainer: Trainer, line: Line) -> None:
    from vitruvius.tools.passes.scoring import score

    scores = score(
        cast("SearchSpace", trainer.space),
        trainer.task,
        [Architecture(order["architecture"])],
        order["proxies"],
        order["seed"],
        progress=lambda: line.send("beat", epoch=0, value=None),
    )
    told = [{"value": one.value, "wall_s": one.wall_s, "note": one.note} for one in scores]
    line.send("scores", scores=told)


def _own_copy(descriptor: int, mode: str) -> IO[bytes]:
    return os.fdopen(os.dup(descriptor), mode)  # not inherited by what user code starts


def _end() -> None:
    """Ends this process and, where it leads a group, whatever user code started in it."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
