"""The principle vectors in Chroma, touched by one process at a time."""

from __future__ import annotations

import fcntl
import shutil
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vitruvius.memory.index.embedding import ENCODER

_NAME = f"principles-{ENCODER}"
_LOCK = "lock"
_DATA = "chroma-"
_BATCH = 1000


_HEADER = struct.Struct("<iQQQ")  # of header.bin: version, offset, most elements, elements
_ELEMENT = 4  # bytes of one in length.bin


def blank_unused(folder: Path) -> None:
    """Overwrites the part of each `length.bin` that no element uses with zeros.

    Chroma's HNSW writes memory there that it never set (chroma#7688, 1.5.9): the headers of a
    model call, key included, were found in it. Files of another layout are left alone.
    """
    for path in folder.glob("*/*/length.bin"):
        header = path.with_name("header.bin").read_bytes()[: _HEADER.size]
        if len(header) < _HEADER.size:
            continue
        version, _, most, used = _HEADER.unpack(header)
        size = path.stat().st_size
        if version == 1 and used <= most and used * _ELEMENT < size:
            with path.open("r+b") as file:
                file.seek(used * _ELEMENT)
                file.write(bytes(size - used * _ELEMENT))


class ChromaStore:
    """A collection of unit vectors by version name, in a folder of its own.

    Two clients on one folder read stale vectors without a word, so only the holder of the
    folder's lock has one. Vectors are always passed: without them Chroma would download a model.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: IO[str] | None = None
        self._client: Any = None
        self._collection: Any = None

    def acquire(self) -> bool:
        """Returns whether this process holds the lock; takes it where it is free.

        Raises:
            OSError: where the folder cannot be written.
        """
        if self._lock is not None:
            return True
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = (self._folder / _LOCK).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True

    def upsert(
        self, vectors: Mapping[str, NDArray[np.float32]], space_names: Mapping[str, str]
    ) -> None:
        """Writes vectors; one that is there is replaced (`add` would silently keep the old)."""
        names = list(vectors)
        for start in range(0, len(names), _BATCH):
            some = names[start : start + _BATCH]
            self._open().upsert(
                ids=some,
                embeddings=np.stack([vectors[name] for name in some]),
                metadatas=[{"space_name": space_names[name]} for name in some],
            )
        blank_unused(self._folder)

    def nearest(
        self, vector: NDArray[np.float32], n: int, space_name: str | None = None
    ) -> list[str]:
        """Returns up to `n` names, nearest first; of one space, if given."""
        found = self._open().query(
            query_embeddings=vector[None],
            n_results=n,
            where=None if space_name is None else {"space_name": space_name},
            include=["distances"],
        )
        names: list[str] = found["ids"][0]
        return names

    def names(self) -> set[str]:
        return set(self._open().get(include=[])["ids"])

    def count(self) -> int:
        return int(self._open().count())

    def delete(self, names: Sequence[str]) -> None:
        self._open().delete(ids=list(names))

    def wipe(self) -> None:
        """Deletes every file but the lock, readable or not.

        The next client gets a folder of another name: after a failure Chroma keeps a broken
        client for the old one as long as the process lives.
        """
        self._drop_client()
        old = self._data_folder()
        for entry in self._folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != _LOCK:
                entry.unlink()
        (self._folder / f"{_DATA}{int(old.name.removeprefix(_DATA)) + 1}").mkdir()

    def close(self) -> None:
        """Lets go of files and lock."""
        self._drop_client()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _open(self) -> Any:
        if self._collection is None:
            import chromadb  # 0.6 s, and only the holder of the lock needs it

            self._client = chromadb.PersistentClient(str(self._data_folder()))
            self._collection = self._client.get_or_create_collection(
                _NAME, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
            )
        return self._collection

    def _data_folder(self) -> Path:
        numbers = [
            int(number)
            for entry in self._folder.glob(f"{_DATA}*")
            if (number := entry.name.removeprefix(_DATA)).isdecimal()
        ]
        return self._folder / f"{_DATA}{max(numbers, default=1)}"

    def _drop_client(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = self._collection = None


def store_faults() -> tuple[type[BaseException], ...]:
    """Returns what Chroma raises when its folder or its installation is at fault."""
    # AttributeError: what its client says at the second call after it failed to start
    faults = (OSError, RuntimeError, ValueError, KeyError, AttributeError, ImportError)
    try:
        from chromadb.errors import ChromaError
    except (ImportError, RuntimeError):  # RuntimeError: its word for an SQLite that is too old
        return faults
    return (*faults, ChromaError)
