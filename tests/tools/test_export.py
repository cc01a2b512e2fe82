import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from vitruvius.errors import ConfigError
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.data.datasets import DatasetTask, create_dataset_task
from vitruvius.tools.export.class_source import Unexportable, definitions
from vitruvius.tools.export.files import Exported, export, load_weights
from vitruvius.tools.export.flat_class import flat_source

PREDICT = """
import sys, torch
sys.path.insert(0, {folder!r})
import network
inputs = torch.load({inputs!r}, weights_only=True)
with torch.inference_mode():
    torch.save(network.load()(inputs), {outputs!r})
assert not [name for name in sys.modules if name.startswith("vitruvius")]
"""


@pytest.fixture(scope="module")
def sequences() -> DatasetTask:
    rng = np.random.default_rng(0)
    return create_dataset_task(rng.normal(size=(60, 1, 40)), rng.integers(0, 3, 60))


@pytest.fixture(scope="module")
def images() -> DatasetTask:
    rng = np.random.default_rng(0)
    return create_dataset_task(rng.normal(size=(60, 2, 8, 8)), rng.integers(0, 3, 60))


def train_a_little(network: nn.Module, task: DatasetTask) -> nn.Module:
    """Moves weights and running statistics away from where they start."""
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    split = task.load().train
    for _ in range(3):
        loss = functional.cross_entropy(
            network(torch.as_tensor(split.inputs)), torch.as_tensor(split.labels)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


def export_and_compare(
    space: SearchSpace, architecture: Architecture, task: DatasetTask, tmp_path: Path
) -> Exported:
    """Exports a network and asserts that an isolated Python predicts exactly as we do."""
    network = train_a_little(space.build(architecture, task.signature), task)
    weights = tmp_path / "7.pt"
    torch.save(network.state_dict(), weights)
    exported = export(space, architecture, weights, task, tmp_path / "out")
    inputs = torch.randn(5, *task.signature.input_shape)
    torch.save(inputs, tmp_path / "inputs.pt")
    code = PREDICT.format(
        folder=str(exported.module.parent),
        inputs=str(tmp_path / "inputs.pt"),
        outputs=str(tmp_path / "outputs.pt"),
    )
    subprocess.run([sys.executable, "-I", "-c", code], check=True, cwd=tmp_path)
    with torch.inference_mode():
        assert torch.equal(torch.load(tmp_path / "outputs.pt", weights_only=True), network(inputs))
    assert "vitruvius." not in exported.module.read_text()
    return exported


def test_a_cell_on_sequences(tmp_path: Path, sequences: DatasetTask) -> None:
    space = load_space("nb201")
    architecture = space.sample(np.random.default_rng(1))
    exported = export_and_compare(space, architecture, sequences, tmp_path)
    text = exported.module.read_text()
    assert "class CellNetwork(nn.Sequential):" in text, "the source of our own classes is kept"
    assert repr(architecture.spec) in text


@pytest.mark.slow
@pytest.mark.parametrize("ref", ["nb201:cells=2,reduction=residual", "macro"])
def test_other_spaces_on_images(tmp_path: Path, images: DatasetTask, ref: str) -> None:
    space = load_space(ref)
    export_and_compare(space, space.sample(np.random.default_rng(2)), images, tmp_path)


def test_every_architecture_of_a_sample_can_be_exported(
    tmp_path: Path, sequences: DatasetTask, images: DatasetTask
) -> None:
    """The copy is compared with the original inside `export`."""
    rng = np.random.default_rng(3)
    for ref in ("nb201", "macro", "nb201:reduction=residual", "flexibert"):
        space = load_space(ref)
        for task in (sequences, images):
            architecture = space.sample(rng)
            network = space.build(architecture, task.signature)
            torch.save(network.state_dict(), tmp_path / "w.pt")
            export(space, architecture, tmp_path / "w.pt", task, tmp_path / "out")


OWN_SPACE = """
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Choice, Slot
from helpers import Scaled


class Own(SlotSpace):
    def __init__(self):
        widths = tuple(Choice(name=str(w), value=w) for w in (4, 8))
        super().__init__("own", (Slot(name="width", choices=widths),))

    def build(self, architecture, signature):
        from torch import nn

        width = int(architecture.spec["width"])
        input_shape, outputs = signature.input_shape, signature.outputs
        {build}


space = Own()
"""
HELPERS = """
import torch
from torch import nn

GAIN = 2.0


class Scaled(nn.Module):
    def __init__(self, size: int, width: int = 3, outputs: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(size, width), nn.Linear(width, outputs)])
        self.scale = nn.Parameter(torch.ones(width))
        self.register_buffer("shift", torch.full((width,), 0.25))

    def forward(self, x):
        hidden = self.layers[0](x.flatten(1)).relu() * self.scale * GAIN
        return self.layers[1](hidden + self.shift)
"""
BUILDS = {
    "own class, plain arguments": (
        "return Scaled(input_shape[0] * input_shape[1], width=width, outputs=outputs)",
        "class Scaled(nn.Module):",
    ),
    "layers put together": (
        "return nn.Sequential(nn.Conv1d(1, width, 3), nn.BatchNorm1d(width), nn.GELU(), "
        "nn.Dropout(0.1), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(width, outputs))",
        "nn.Conv1d(1, ",
    ),
    "both": (
        "return nn.Sequential(nn.Conv1d(1, width, 3), Scaled(width * 38, outputs=outputs))",
        "class Network(nn.Module):",
    ),
}


@pytest.mark.parametrize("case", BUILDS)
def test_a_users_own_space(
    tmp_path: Path, sequences: DatasetTask, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, words = BUILDS[case]
    (tmp_path / "mine.py").write_text(OWN_SPACE.format(build=build))
    (tmp_path / "helpers.py").write_text(HELPERS)
    monkeypatch.delitem(sys.modules, "helpers", raising=False)
    space = load_space(f"{tmp_path / 'mine.py'}:space")
    exported = export_and_compare(space, space.parse({"width": "4"}), sequences, tmp_path)
    monkeypatch.delitem(sys.modules, "helpers")
    assert words in exported.module.read_text()


def test_weights_of_another_architecture_are_refused(
    tmp_path: Path, sequences: DatasetTask
) -> None:
    space = load_space("macro")
    one, other = (space.sample(np.random.default_rng(i)) for i in (0, 1))
    network = space.build(other, sequences.signature)
    torch.save(network.state_dict(), tmp_path / "w.pt")
    with pytest.raises(ConfigError, match="are not the weights of"):
        export(space, one, tmp_path / "w.pt", sequences, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_that_are_missing_or_hold_code_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no weights can be read"):
        load_weights(tmp_path / "none.pt")
    torch.save({"weight": Path}, tmp_path / "code.pt")
    with pytest.raises(ConfigError, match="no weights can be read"):
        load_weights(tmp_path / "code.pt")


class Branching(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) if x.sum() > 0 else x


def test_what_can_be_written_in_neither_way_says_why() -> None:
    with pytest.raises(Unexportable, match="arguments of Branching are not plain data"):
        definitions(lambda: Branching(nn.Linear(2, 2)))
    with pytest.raises(Unexportable, match="cannot be traced"):
        flat_source(Branching(nn.Linear(2, 2)))
    with pytest.raises(Unexportable, match="takes any arguments"):
        flat_source(nn.Sequential(nn.LSTM(2, 2)))


def test_the_class_is_left_as_it_was() -> None:
    original = Branching.__init__
    with pytest.raises(Unexportable):
        definitions(lambda: Branching(nn.Linear(2, 2)))
    assert Branching.__init__ is original
