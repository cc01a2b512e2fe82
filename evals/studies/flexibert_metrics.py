"""Training-free metrics of the 500 published FlexiBERT networks, computed anew.

Serianni & Kalita 2023, arXiv:2306.00288, stored them for networks other than those that were
trained: hidden size and feed-forward width were left at 256 and 1,024, while operations were what
was specified, and gradients were those of a sum behind a layer normalisation, which is constant.
Here each metric is computed in that form, by the same formula on the networks that were trained,
and in a corrected form on these: evaluation mode, gradients of the loss of masked words.

Every network's figures are a line of the file, so that a run that was cut off goes on where it was.
The published dropout is left out throughout, and other text stands in for theirs.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from vitruvius.evals.studies.flexibert_metric_tables import Column, columns_of, printed
from vitruvius.spaces.builders.taps import Part
from vitruvius.spaces.space import Architecture, Signature
from vitruvius.spaces.transformers.form import layers_of, written
from vitruvius.spaces.transformers.space import FlexiBert, FlexiBertTrained
from vitruvius.tasks.tables.flexibert import Published, published_networks
from vitruvius.tasks.texts.corpora import read_topics
from vitruvius.tasks.texts.text import Unit, create_text_task
from vitruvius.tools.passes.example_gradients import saliency
from vitruvius.tools.passes.flops import unmoved_generator
from vitruvius.tools.passes.forward_backward import batch_loss, gradients_of
from vitruvius.tools.passes.probe import Batch, Probe
from vitruvius.tools.passes.scoring import measure
from vitruvius.tools.proxies import PROXIES
from vitruvius.tools.proxies.attention import part_slopes, wide_outputs
from vitruvius.tools.proxies.formula import Formula
from vitruvius.tools.proxies.spectra import correlation_score, cosine_score

Form = Literal["measured", "trained"]  # the networks behind the stored metrics, or the scores
Scores = dict[str, float | None]
Value = str | Callable[[Probe], float]  # a proxy by name, or a formula
Count = Callable[[Probe], int]  # of what was summed, by which the normalised form divides

MEASURED_HIDDEN, MEASURED_WIDTH = 256, 1024  # whatever was specified


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a figure depends on besides the network. Published: scale 1, 128 texts of 512 words."""

    scale: int = 1
    batch: int = 8
    length: int = 32
    unit: Unit = "word"
    vocabulary: int = 2000
    seed: int = 0

    @cached_property
    def data(self) -> tuple[Signature, Batch]:
        """Texts with masked tokens, drawn from Python's own help texts."""
        task = create_text_task(
            read_topics(),
            unit=self.unit,
            context=self.length,
            vocabulary=self.vocabulary,
            masked=True,
        )
        train = task.load().train
        rng = np.random.default_rng(self.seed)
        rows = rng.choice(len(train.labels), size=self.batch, replace=False)
        inputs, labels = torch.from_numpy(train.inputs[rows]), torch.from_numpy(train.labels[rows])
        return task.signature, Batch(inputs=inputs, labels=labels)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was computed for one network, by the names of the stored metrics.

    `corrected` is empty for the networks that were measured there. None: the network has not what
    a metric looks at, or the value is degenerate.
    """

    form: Form
    network: str
    published: Scores
    corrected: Scores
    cpu_s: float


def _saliency(probe: Probe) -> float:
    return saliency(zip(*part_slopes(probe, probe.loss, "feed_forward"), strict=True))


def _entry_slopes(probe: Probe) -> Tensor:
    """Gradients of the loss with respect to the embedded words, a row for each text."""
    loss = batch_loss(probe.record.output, probe.labels)
    return gradients_of(loss, [probe.record.entry])[0].flatten(1)


def _distance_by_unit(probe: Probe) -> float:
    """The kernel divided by its units before the determinant."""
    units = sum(call.given[0].numel() for call in probe.record.activations)
    return PROXIES["activation_distance"](probe) - len(probe.inputs) * math.log(units)


def _summed(name: str) -> Callable[[Probe], float]:
    return lambda probe: PROXIES[name](probe) * _maps(probe)


def _layers(*parts: Part) -> Count:
    return lambda probe: len(part_slopes(probe, probe.ones, *parts)[0])


def _wide_layers(probe: Probe) -> int:
    return len(wide_outputs(probe))


def _activations(probe: Probe) -> int:
    return sum(hasattr(call.module, "part") for call in probe.record.activations)


def _maps(probe: Probe) -> int:
    return len(probe.record.attention)


def _heads(probe: Probe) -> int:
    return sum(output.shape[1] for output in probe.record.heads)


PUBLISHED: dict[str, tuple[Value, Count | None]] = {
    "synaptic_diversity": ("synaptic_diversity_published", _layers("operation", "projection")),
    "synaptic_saliency": ("synaptic_saliency_published", _layers("feed_forward")),
    "activation_distance": ("token_activation_distance_published", _activations),
    "jacobian_covariance": ("jacobian_covariance_published", None),
    "jacobian_cosine": ("jacobian_cosine_published", None),
    "attention_importance": ("attention_importance_published", _wide_layers),
    "attention_confidence": ("attention_confidence_published", _wide_layers),
    "softmax_confidence": ("softmax_confidence_published", _maps),
}
CORRECTED: dict[str, tuple[Value, Count | None]] = {
    "synaptic_diversity": ("synaptic_diversity", _layers("operation", "projection")),
    "synaptic_saliency": (_saliency, _layers("feed_forward")),
    "activation_distance": ("activation_distance", None),
    "activation_distance_norm": (_distance_by_unit, None),
    "jacobian_covariance": (lambda probe: correlation_score(_entry_slopes(probe)), None),
    "jacobian_cosine": (lambda probe: cosine_score(_entry_slopes(probe)), None),
    "attention_importance": ("head_importance", _heads),
    "attention_confidence": (_summed("attention_confidence"), None),
    "attention_confidence_norm": ("attention_confidence", None),
    "softmax_confidence": (_summed("softmax_confidence"), None),
    "softmax_confidence_norm": ("softmax_confidence", None),
}


def network_of(one: Published, form: Form) -> Architecture:
    """Returns the network that the metrics were computed on, or the one that was trained."""
    if form == "trained":
        return FlexiBertTrained().canonical(one.architecture)
    wide = (
        replace(layer, hidden=MEASURED_HIDDEN, ff_width=MEASURED_WIDTH)
        for layer in layers_of(one.architecture)
    )
    return FlexiBert().canonical(written(tuple(wide), FlexiBert.menu))


def figures_of(network: Architecture, form: Form, settings: Settings) -> Figures:
    """Returns the metrics of a freshly drawn network."""
    signature, batch = settings.data
    start = time.process_time()
    made = FlexiBertTrained if form == "trained" else FlexiBert
    with unmoved_generator(settings.seed):
        built = made(scale=settings.scale).build(network, signature)
    probe = Probe(
        network=built, signature=signature, batch=batch, plans=frozenset({"graph", "targets"})
    )
    return Figures(
        form=form,
        network=network.text,
        published=_scores(PUBLISHED, probe),
        corrected=_scores(CORRECTED, probe) if form == "trained" else {},
        cpu_s=round(time.process_time() - start, 3),
    )


def _scores(formulas: dict[str, tuple[Value, Count | None]], probe: Probe) -> Scores:
    found: Scores = {}
    for metric, (value, count) in formulas.items():
        formula = PROXIES[value] if isinstance(value, str) else value
        found[metric], _ = measure(
            Formula(name=metric, description="", needs_data=True, formula=formula), probe
        )
        if count is not None:
            number = found[metric]
            found[f"{metric}_norm"] = None if number is None else number / count(probe)
    return found


def read_figures(path: Path, settings: Settings) -> dict[tuple[Form, str], Figures]:
    """Returns what a file holds for these settings; a line that was cut off is left out."""
    if not path.is_file():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    kept = [Figures(**row["figures"]) for row in rows if row["settings"] == asdict(settings)]
    return {(one.form, one.network): one for one in kept}


def compute(
    networks: Sequence[Published], settings: Settings, path: Path
) -> Iterator[tuple[Published, dict[Form, Figures]]]:
    """Yields both forms of each network, and appends those that the file lacks.

    Equal networks are computed once.
    """
    known = read_figures(path, settings)
    if path.is_file():  # what a kill left of a last line
        whole = path.read_bytes()
        path.write_bytes(whole[: whole.rfind(b"\n") + 1])
    for one in networks:
        found: dict[Form, Figures] = {}
        for form in get_args(Form):
            network = network_of(one, form)
            key = (form, network.text)
            if key not in known:
                known[key] = figures_of(network, form, settings)
                line = {"settings": asdict(settings), "figures": asdict(known[key])}
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
            found[form] = known[key]
        yield one, found


def gathered(rows: Sequence[tuple[Published, dict[Form, Figures]]]) -> list[Column]:
    """Returns every metric in its four forms, and the sizes beside them."""
    ones = [one for one, _ in rows]
    forms: dict[str, Callable[[int, str], float | None]] = {
        "stored": lambda row, metric: ones[row].metrics[metric],
        "published": lambda row, metric: rows[row][1]["measured"].published[metric],
        "trained": lambda row, metric: rows[row][1]["trained"].published[metric],
        "corrected": lambda row, metric: rows[row][1]["trained"].corrected[metric],
    }
    # Jacobian scores have no normalised form.
    named = [f"{metric}{end}" for end in ("", "_norm") for metric in PUBLISHED]
    names = [name for name in named if name in ones[0].metrics]
    found = [
        Column(metric=name, form=form, values=[value(row, name) for row in range(len(rows))])
        for name in names
        for form, value in forms.items()
    ]
    sizes: list[tuple[str, str, Callable[[Published], float]]] = [
        ("parameters", "stored", lambda one: one.metrics["num_params_as_logged_h256_ff1024"]),
        ("parameters", "corrected", lambda one: one.params),
        ("depth", "corrected", lambda one: len(layers_of(one.architecture))),
        ("hidden size", "corrected", lambda one: layers_of(one.architecture)[0].hidden),
    ]
    found += [
        Column(metric=metric, form=form, values=[float(size(one)) for one in ones])
        for metric, form, size in sizes
    ]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Computes what is missing and prints the tables in Markdown."""
    usual = Settings()
    parser = argparse.ArgumentParser(prog="flexibert_metrics", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public tables")
    parser.add_argument("--number", type=int, default=500, help="networks, the first of the file")
    parser.add_argument("--scale", type=int, default=usual.scale, help="divides all widths")
    parser.add_argument("--batch", type=int, default=usual.batch, help="texts")
    parser.add_argument("--length", type=int, default=usual.length, help="tokens of a text")
    parser.add_argument("--unit", choices=get_args(Unit), default=usual.unit)
    parser.add_argument("--out", type=Path, default=Path("flexibert.jsonl"), help="to append to")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    settings = Settings(scale=given.scale, batch=given.batch, length=given.length, unit=given.unit)
    networks = published_networks(given.data / "flexibert.json")[: given.number]
    rows = list(compute(networks, settings, given.out))
    spent = {id(one): one.cpu_s for _, found in rows for one in found.values()}
    print(f"{len(rows)} networks, {sum(spent.values()):.0f} s of CPU time\n")
    print(printed(columns_of(networks, gathered(rows))))


if __name__ == "__main__":
    main()
