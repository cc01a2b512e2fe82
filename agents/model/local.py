"""A model file in the chairs: a .gguf served on loopback by llama.cpp, as long as a run needs it.

The server (xllamacpp's) is a process of its own, so that it can be ended by its id whatever it is
doing; it also ends by itself when its starter is gone, `kill -9` included.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from vitruvius.errors import ConfigError

ENDING = ".gguf"
MAGIC = b"GGUF"
REPLY_TOKENS = 2048  # of one reply: a small model that runs on is cut here
ENGINE = "xllamacpp"  # what the extra `local` installs


def is_file_of_model(name: str) -> bool:
    """Returns whether a model's name is the path of a model file."""
    return name.endswith(ENDING)


def check_local(path: Path) -> None:
    """Checks that a model file can be served here, without loading it.

    Raises:
        ConfigError: the file is not there or no GGUF, or the extra is not installed.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise ConfigError(
            f"the model file {path} cannot be read ({error.strerror}); give the path of a {ENDING} "
            "file, or use --model analyst"
        ) from None
    if magic != MAGIC:
        raise ConfigError(
            f"{path} is no GGUF file: it begins with {magic!r}, not {MAGIC!r}; download it again, "
            "or convert the model with llama.cpp's tools"
        )
    if find_spec(ENGINE) is None:
        raise ConfigError(
            f"to serve {path.name}, {ENGINE} is needed and not installed: "
            "`pip install 'vitruvius[local]'`; or serve the file yourself and set OPENAI_BASE_URL"
        )


@contextmanager
def served(path: Path, *, context: int = 8192, threads: int | None = None) -> Iterator[str]:
    """Serves a model file in a process of its own and yields its base URL; ends it after.

    Args:
        path: of the .gguf file.
        context: tokens that prompt and reply may have together.
        threads: of the server; None: `OMP_NUM_THREADS`, else one for each core that we may use.

    Raises:
        ConfigError: it cannot be served here, or the server did not come up.
    """
    check_local(path)
    threads = threads or _threads()
    words = [sys.executable, "-m", __name__, str(os.getpid()), str(path), str(context)]
    words.append(str(threads))
    # Threads that spin while they wait cost a busy machine nine tenths of its speed.
    env = os.environ | {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": str(threads)}
    env["PYTHONPATH"] = os.pathsep.join(part for part in sys.path if part)
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env=env,
            start_new_session=True,  # Ctrl-C is for the run, which ends the server itself
        )
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            if not url.startswith("http"):
                raise ConfigError(f"{path} could not be served: {_last_line(process, said)}")
            yield url
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _threads() -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _last_line(process: subprocess.Popen[str], said: IO[bytes]) -> str:
    """Returns what the server said last, in one line: why it did not come up."""
    process.kill()
    process.wait()
    said.seek(0)
    lines = said.read().decode(errors="replace").splitlines()
    told = [line.strip() for line in lines if line.strip()]
    errors = [line for line in told if "error" in line.lower() or "fail" in line.lower()]
    return (errors or told or ["the server said nothing"])[0][:300]


def _serve(arguments: Sequence[str]) -> None:
    """Serves until the starter is gone: `PID FILE CONTEXT THREADS`."""
    import threading
    import time

    from xllamacpp import CommonParams, Server

    starter, path, context, threads = arguments

    def watch() -> None:
        while os.getppid() == int(starter):
            time.sleep(0.5)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    params = CommonParams()
    params.model.path, params.port, params.n_parallel = path, 0, 1
    params.n_ctx = int(context)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(threads)
    server = Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    _serve(sys.argv[1:])
