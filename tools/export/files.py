"""A trained network as weights and one Python file that needs torch alone."""

from __future__ import annotations

import pprint
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import cast

import torch
from torch import nn

from vitruvius.errors import ConfigError
from vitruvius.spaces.space import Architecture, Builder, SearchSpace, Signature
from vitruvius.tasks.task import TrainableTask
from vitruvius.tasks.texts.text import TextTask
from vitruvius.tools.export.class_source import Unexportable, definitions
from vitruvius.tools.export.flat_class import flat_source
from vitruvius.tools.passes.flops import unmoved_generator
from vitruvius.tools.training.evaluation import write_whole

HEAD = '''"""A network found by Vitruvius. Needs torch and nothing else.

>>> from {stem} import load
>>> network = load()  # with its weights, ready to predict: {shapes}
"""

'''

TAIL = '''

SPACE = {space!r}
TASK = {task!r}
ARCHITECTURE = {architecture!r}


def build() -> nn.Module:
    """Returns the network with fresh weights."""
    return {call}


def load(weights: str | Path = Path(__file__).with_name({weights!r})) -> nn.Module:
    """Returns the trained network in evaluation mode, on the CPU."""
    network = build()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.eval()
'''


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The two files, side by side; they may be moved together."""

    module: Path
    weights: Path


def export(
    space: SearchSpace,
    architecture: Architecture,
    weights: Path,
    task: TrainableTask,
    out_dir: Path,
    *,
    stem: str = "network",
) -> Exported:
    """Writes `<stem>.py` and `<stem>.pt` into `out_dir`, replacing files of these names.

    The module holds the source of the network's own classes where their constructor takes plain
    data, and else the network as one traced class. It is written only after it has been run here
    and its network has given exactly the outputs of the original.

    Args:
        space: must build networks.
        architecture: one of the space.
        weights: the state dict that a training wrote.
        task: gives the shape of an example and the number of classes.
        out_dir: made if need be.
        stem: a Python identifier.

    Raises:
        ConfigError: if the space builds no networks, the weights are missing or are those of
            another architecture, or the network cannot be written as a file of its own.
    """
    if not isinstance(space, Builder):
        raise ConfigError(f"the space {space.name} builds no networks, so there is none to export")
    if not stem.isidentifier():
        raise ConfigError(f"expected a name that Python can import, got {stem!r}")
    with unmoved_generator():
        network = _trained(space, architecture, weights, task)
        source = _source(space, architecture, network, task, stem)
    module, copy = out_dir / f"{stem}.py", out_dir / f"{stem}.pt"
    try:
        # weights first: whoever finds the module finds them beside it
        write_whole(copy, weights.read_bytes())
        write_whole(module, source.encode())
    except OSError as error:
        raise ConfigError(f"{out_dir} cannot be written: {error}") from error
    return Exported(module=module, weights=copy)


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """Returns a state dict, on the CPU; runs no code that the file may hold.

    Raises:
        ConfigError: if the file is missing or holds something else.
    """
    try:
        state: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling a damaged file may raise anything
        raise ConfigError(f"no weights can be read from {path}: {error}") from error
    return state


def _trained(
    space: Builder, architecture: Architecture, weights: Path, task: TrainableTask
) -> nn.Module:
    network = space.build(architecture, task.signature)
    try:
        network.load_state_dict(load_weights(weights))
    except RuntimeError as error:
        raise ConfigError(f"{weights} are not the weights of {architecture}: {error}") from error
    return network.eval()


def _source(
    space: Builder, architecture: Architecture, network: nn.Module, task: TrainableTask, stem: str
) -> str:
    """Returns the source of a module whose network behaves exactly as `network`."""
    reasons = []
    ways: tuple[Callable[[], tuple[str, str]], ...] = (
        lambda: definitions(lambda: space.build(architecture, task.signature)),
        lambda: flat_source(network),
    )
    for write in ways:
        try:
            body, call = write()
            source = _module(body, call, space, architecture, task, stem)
            _verify(source, network, task.signature)
        except Unexportable as error:
            reasons.append(str(error))
        else:
            return source
    raise ConfigError(
        f"{architecture} cannot be written as a file of its own: {'; '.join(reasons)}; "
        "its weights can still be loaded through its space"
    )


def _module(
    body: str, call: str, space: Builder, architecture: Architecture, task: TrainableTask, stem: str
) -> str:
    head = HEAD.format(stem=stem, shapes=_shapes(task.signature))
    tail = TAIL.format(
        space=getattr(space, "id", ""),
        task=task.id,
        architecture=architecture.spec,
        call=textwrap.indent(call, "    ").lstrip(),
        weights=f"{stem}.pt",
    )
    return f"{head}{body.strip()}\n{tail}{_tokens(task)}"


def _tokens(task: TrainableTask) -> str:
    """Returns the line that says which token has which number; nothing for a task of numbers."""
    if not isinstance(task, TextTask):
        return ""
    numbered = pprint.pformat(task.vocabulary.tokens, width=98, compact=True)
    return f"\n\n# the {task.unit}s that the numbers stand for\nTOKENS = {numbered}\n"


def _shapes(signature: Signature) -> str:
    """Returns what the network maps to what, in words."""
    inputs = ["B", *map(str, signature.input_shape)]
    tokens = "" if signature.vocabulary is None else f" int64 tokens below {signature.vocabulary}"
    outputs = [*(inputs[:2] if signature.per_token else inputs[:1]), str(signature.outputs)]
    return f"[{', '.join(inputs)}]{tokens} to [{', '.join(outputs)}]"


def _example(signature: Signature) -> torch.Tensor:
    """Returns a batch of four examples, the same at each call."""
    generator, shape = torch.Generator().manual_seed(0), (4, *signature.input_shape)
    if signature.vocabulary is None:
        return torch.randn(shape, generator=generator)
    return torch.randint(signature.vocabulary, shape, generator=generator)


def _verify(source: str, network: nn.Module, signature: Signature) -> None:
    """Runs the module and compares its network with the original, exactly."""
    inputs = _example(signature)
    module = ModuleType("_vitruvius_export")
    module.__file__ = "network.py"
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(compile(source, "<export>", "exec"), vars(module))  # made of the space's own code
        copy = cast("Callable[[], nn.Module]", module.build)()
        copy.load_state_dict(network.state_dict())
        with torch.inference_mode():
            same = torch.equal(copy.eval()(inputs), network(inputs))
    except Exception as error:
        raise Unexportable(f"its copy raised {type(error).__name__}: {error}") from error
    finally:
        del sys.modules[module.__name__]
    if not same:
        raise Unexportable("its copy gives other outputs")
