"""A tiny space whose networks misbehave in every way on request, and a tiny task for them."""

import ctypes
import hashlib
import itertools
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vitruvius.errors import ToolError
from vitruvius.spaces.space import Architecture, Signature
from vitruvius.tasks.task import Constraints, Fidelity, Metric, Recipe, Split, Splits

KINDS = (
    "linear",
    "mlp",
    "noisy",  # prints to standard output, reads standard input
    "hang",
    "exit",
    "kill",
    "segfault",
    "eat",
    "eat_in_children",
    "nan",
    "raise",
    "sys_exit",
    "slow",
    "stubborn",  # never looks at the clock
    "child",  # starts a process that outlives a training
)


class ToySpace:
    """Architectures are names of behaviours."""

    name = "toys"
    slots = ()
    features = ()

    def __init__(self, ref: str = "") -> None:
        self.ref = ref

    @property
    def id(self) -> str:
        return "toys-" + hashlib.sha256(" ".join(KINDS).encode()).hexdigest()[:8]

    def sample(self, rng):
        return Architecture.of({"kind": KINDS[rng.integers(2)]})

    def mutate(self, architecture, rng):
        return self.neighbours(architecture)[0]

    def neighbours(self, architecture):
        return [a for a in self.members() if a != architecture][:1]

    def parse(self, spec):
        if spec not in [{"kind": kind} for kind in KINDS]:
            raise ToolError(f"kind must be one of {KINDS}, got {spec!r}")
        return Architecture.of(spec)

    def canonical(self, architecture):
        return architecture

    def featurise(self, architectures):
        return np.zeros((len(architectures), 0))

    def members(self):
        return [Architecture.of({"kind": kind}) for kind in KINDS]

    def describe(self) -> str:
        return "toys"

    def draw(self, architecture) -> str:
        return str(architecture)

    def build(self, architecture, signature):
        from torch import nn

        kind = architecture.spec["kind"]
        size = int(np.prod(signature.input_shape))
        if kind == "linear":
            return nn.Sequential(nn.Flatten(), nn.Linear(size, signature.outputs))
        body = [nn.Linear(size, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1)]
        network = nn.Sequential(nn.Flatten(), *body, nn.Linear(16, signature.outputs))
        if kind != "mlp":
            network.register_forward_hook(getattr(self, f"_{kind}"))
        return network

    @staticmethod
    def _noisy(network, inputs, output):
        print("{not json", flush=True)
        os.write(1, b'{"kind": "outcome"}\n')
        assert sys.stdin.read() == ""

    @staticmethod
    def _hang(network, inputs, output):
        time.sleep(1000)

    @staticmethod
    def _exit(network, inputs, output):
        print("about to leave", file=sys.stderr, flush=True)
        os._exit(7)

    @staticmethod
    def _kill(network, inputs, output):
        os.kill(os.getpid(), signal.SIGKILL)

    @staticmethod
    def _segfault(network, inputs, output):
        ctypes.string_at(0)

    @staticmethod
    def _eat(network, inputs, output):
        import torch

        network.eaten = []
        while True:
            network.eaten.append(torch.ones(5 * 2**20))

    @staticmethod
    def _eat_in_children(network, inputs, output):
        code = "import time; b = bytearray(b'x' * 300 * 2**20); time.sleep(1000)"
        children = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
        children[0].wait()

    @staticmethod
    def _nan(network, inputs, output):
        return output * float("nan")

    @staticmethod
    def _raise(network, inputs, output):
        raise ValueError("these shapes do not fit")

    @staticmethod
    def _sys_exit(network, inputs, output):
        sys.exit("enough")

    @staticmethod
    def _slow(network, inputs, output):
        time.sleep(0.05)

    @staticmethod
    def _stubborn(network, inputs, output):
        end = time.monotonic() + 1000
        while time.monotonic() < end:
            sum(range(1000))

    @staticmethod
    def _child(network, inputs, output):
        marker = Path(os.environ["TOY_MARKER"])
        if not marker.exists():
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
            marker.write_text(str(child.pid))
        time.sleep(1000)


@dataclass(kw_only=True)
class ToyTask:
    """Two separable classes of points."""

    ref: str = ""
    name: str = "points"
    metric: Metric = field(default_factory=lambda: Metric(name="accuracy", unit="%"))
    constraints: Constraints = field(default_factory=Constraints)
    fidelity: Fidelity = field(default_factory=lambda: Fidelity(epochs=3))
    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=3, batch_size=32))
    is_noisy: bool = True
    signature: Signature = field(default_factory=lambda: Signature(input_shape=(1, 12), outputs=3))
    samples: int = 300

    @property
    def id(self) -> str:
        return (
            f"points-{hashlib.sha256(repr((self.samples, self.recipe)).encode()).hexdigest()[:8]}"
        )

    def describe(self) -> str:
        return "points"

    def load(self) -> Splits:
        rng = np.random.default_rng(0)
        labels = rng.integers(0, self.signature.outputs, 2 * self.samples)
        centres = rng.normal(size=(self.signature.outputs, *self.signature.input_shape))
        noise = rng.normal(size=(len(labels), *self.signature.input_shape))
        inputs = (0.7 * centres[labels] + noise).astype(np.float32)
        edges = (0, self.samples, 3 * self.samples // 2, 2 * self.samples)
        parts = [
            Split(inputs=inputs[a:b], labels=labels[a:b].astype(np.int64))
            for a, b in itertools.pairwise(edges)
        ]
        return Splits(train=parts[0], valid=parts[1], test=parts[2])


space = ToySpace(ref=f"{__file__}:space")
task = ToyTask(ref=f"{__file__}:task")
