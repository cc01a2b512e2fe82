import subprocess
import sys
from pathlib import Path

import pytest

# In a process of its own: the setting stays for the life of the process.
_REUSE = """
import ctypes, sys
if sys.argv[1] == "on":
    from vitruvius.memory.chroma_store import blank_freed_memory
    assert blank_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
first = libc.malloc(400)
ctypes.memmove(first, b"the key " * 50, 400)
libc.free(first)
again = libc.malloc(400)
print(first == again, b"the key" in ctypes.string_at(again, 400))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
@pytest.mark.parametrize(("blank", "left"), [("off", "True"), ("on", "False")])
def test_freed_memory_holds_no_keys_that_chroma_could_write(blank: str, left: str) -> None:
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", _REUSE, blank],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": source},
    )
    assert done.stdout.split() == ["True", left]
