from pathlib import Path

import numpy as np

from vitruvius.memory.index.chroma_store import ChromaStore, blank_unused


def vectors(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(n, 64)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return {f"P{i}.1": row for i, row in enumerate(drawn)}


def test_no_memory_of_the_process_stays_in_the_index(tmp_path: Path) -> None:
    """Chroma writes memory it never set; an HTTP header with a key was found there."""
    store, some = ChromaStore(tmp_path), vectors(30)
    assert store.acquire()
    store.upsert(some, dict.fromkeys(some, "nb201"))
    (lengths,) = tmp_path.rglob("length.bin")
    lengths.write_bytes(b"the key " * 50)  # what the heap may hold
    store.upsert(some, dict.fromkeys(some, "nb201"))
    assert b"key" not in lengths.read_bytes()
    assert store.nearest(some["P3.1"], 1) == ["P3.1"]
    store.close()


def test_blanking_leaves_the_elements_in_use(tmp_path: Path) -> None:
    store, some = ChromaStore(tmp_path), vectors(1100)  # past 1,000 Chroma writes them out
    assert store.acquire()
    store.upsert(some, dict.fromkeys(some, "nb201"))
    (lengths,) = tmp_path.rglob("length.bin")
    written = np.frombuffer(lengths.read_bytes(), "<f4")
    assert np.isclose(written[:1000], 1.0, atol=1e-3).all()
    blank_unused(tmp_path)
    store.close()
    again = ChromaStore(tmp_path)
    assert again.acquire()
    assert again.count() == 1100
    assert all(again.nearest(some[name], 1) == [name] for name in ("P3.1", "P999.1", "P1050.1"))
    again.close()
