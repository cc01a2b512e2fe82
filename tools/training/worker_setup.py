"""What a worker is told once: the space and the task, by reference or by value, and the folder."""

from __future__ import annotations

import base64
import importlib.util
import json
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cloudpickle

from vitruvius.errors import ConfigError
from vitruvius.spaces.registry import absolute_ref, load_space, source_hash
from vitruvius.spaces.space import Builder, SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import TrainableTask


@dataclass(frozen=True, kw_only=True)
class Carried:
    """An object on its way to a worker: its reference, or the object itself where it has none.

    `id` and `sources` let the worker refuse another object than the one the run began with.
    """

    ref: str
    id: str
    sources: dict[str, str]
    pickled: str = ""

    @classmethod
    def of(cls, thing: SearchSpace | TrainableTask) -> Carried:
        if not thing.ref:
            return cls(ref="", id=thing.id, sources={}, pickled=_pickle(thing))
        ref = absolute_ref(thing.ref)
        return cls(ref=ref, id=thing.id, sources=source_hash(ref))


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The first message to a worker."""

    space: Carried
    task: Carried
    run_dir: str
    device: str | None
    slot: int
    threads: int
    memory_mib: float | None
    parent: int
    path: list[str]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Setup:
        fields: dict[str, Any] = json.loads(text)
        space, task = Carried(**fields.pop("space")), Carried(**fields.pop("task"))
        return cls(space=space, task=task, **fields)

    @property
    def folder(self) -> Path:
        return Path(self.run_dir)


def unpack(setup: Setup) -> tuple[Builder, TrainableTask]:
    """Returns the space and the task, made again in this process.

    Raises:
        ConfigError: if either cannot be made, cannot be trained, or is no longer what it was.
    """
    space = _same(setup.space, lambda ref: load_space(ref))
    task = _same(setup.task, lambda ref: load_task(ref))
    if not isinstance(space, Builder):
        raise ConfigError(f"the space {setup.space.id} builds no networks: it needs a build method")
    if not isinstance(task, TrainableTask):
        raise ConfigError(f"the task {setup.task.id} has no data to train on")
    return space, task


def _same(carried: Carried, load: Any) -> Any:
    if carried.pickled:
        try:
            thing = pickle.loads(base64.b64decode(carried.pickled))  # from our own parent only
        except Exception as error:
            raise ConfigError(
                f"{carried.id} cannot be made again in a worker process: "
                f"{type(error).__name__}: {error}"
            ) from error
    else:
        # before the file is run: results of two sources must not mix under one id
        if source_hash(carried.ref) != carried.sources:
            raise ConfigError(f"the source of {carried.ref} has changed since the run began")
        thing = load(carried.ref)
    # the id hashes what the source does not show, such as data on disk
    if thing.id != carried.id:
        raise ConfigError(
            f"expected {carried.id} from {carried.ref or 'the notebook'}, got {thing.id}: "
            "its code or data has changed since the run began"
        )
    return thing


def _pickle(thing: Any) -> str:
    with _by_value(type(thing).__module__):
        try:
            return base64.b64encode(cloudpickle.dumps(thing)).decode()
        except Exception as error:
            raise ConfigError(
                f"{thing.id} cannot be sent to a worker process: {type(error).__name__}: {error}; "
                "put it into a file and name it file.py:object"
            ) from error


@contextmanager
def _by_value(name: str) -> Iterator[None]:
    """Sends a module's code along where a worker could not import it."""
    module = sys.modules.get(name)
    if module is None or name == "__main__" or _is_importable(name):
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _is_importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ValueError, ImportError):  # a module made by hand has no spec
        return False
