"""Metrics of the published transformers: forms, resuming, and what is said beyond sizes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau, rankdata

from vitruvius.evals.studies import flexibert_metric_tables as tables
from vitruvius.evals.studies import flexibert_metrics as program
from vitruvius.evals.studies.flexibert_metric_tables import Column, partial, taus, within
from vitruvius.evals.studies.flexibert_metrics import PUBLISHED, Settings
from vitruvius.spaces.space import Architecture
from vitruvius.spaces.transformers.form import layers_of
from vitruvius.spaces.transformers.space import FlexiBert, FlexiBertTrained
from vitruvius.tasks.tables.flexibert import MEAN, Published

TINY = Settings(scale=8, batch=3, length=8, unit="char")


def published(number: int, seed: int = 0) -> list[Published]:
    rng = np.random.default_rng(seed)
    names = [f"{metric}{end}" for metric in PUBLISHED for end in ("", "_norm")]
    found = []
    for place in range(number):
        architecture = FlexiBert().sample(rng)
        sizes = layers_of(architecture)
        score = 60.0 + 3 * len(sizes) + sizes[0].hidden / 64 + rng.normal()
        found.append(
            Published(
                id=place,
                architecture=architecture,
                scores={MEAN: score},
                pretrain_s=1.0,
                params=place,
                metrics={name: score for name in (*names, "num_params_as_logged_h256_ff1024")},
            )
        )
    return found


def test_published_metrics_ignore_sizes_and_the_trained_networks_ignore_operations() -> None:
    one = published(1)[0]
    measured, trained = (program.network_of(one, form) for form in ("measured", "trained"))
    assert {(each.hidden, each.ff_width) for each in layers_of(measured)} == {(256, 1024)}
    operations = [each.operation for each in layers_of(one.architecture)]
    assert [each.operation for each in layers_of(measured)] == operations
    assert trained == FlexiBertTrained().canonical(one.architecture)


def test_every_metric_of_a_trained_network_is_a_number_in_both_forms() -> None:
    network = program.network_of(published(1)[0], "trained")
    found = program.figures_of(network, "trained", TINY)
    again = program.figures_of(network, "trained", TINY)
    assert set(PUBLISHED) < set(found.published)
    assert set(found.published) == set(found.corrected)
    for scores in (found.published, found.corrected):
        assert all(value is not None and np.isfinite(value) for value in scores.values())
    assert found.corrected == again.corrected
    # Behind a layer normalisation the sum is constant, so its gradients are rounding noise.
    noise, signal = (s["synaptic_saliency"] for s in (found.published, found.corrected))
    assert noise is not None
    assert signal is not None
    assert noise < signal / 100


def test_normalised_forms_divide_by_what_was_summed() -> None:
    layer = {"operation": "sdp", "heads": 4, "ff_width": 512, "ff_layers": 3}
    network = Architecture.of({"hidden": 128, "layers": [layer, {**layer, "heads": 2}]})
    found = program.figures_of(network, "trained", TINY)
    counts = {
        "synaptic_diversity": 8,  # query, key, value and projection
        "synaptic_saliency": 8,
        "attention_confidence": 6,
        "attention_importance": 6,
        "softmax_confidence": 2,
    }
    for metric, count in counts.items():
        total, mean = found.published[metric], found.published[f"{metric}_norm"]
        assert total is not None
        assert mean == pytest.approx(total / count)
    total, mean = (found.corrected[f"attention_importance{end}"] for end in ("", "_norm"))
    assert total is not None
    assert mean == pytest.approx(total / 6)  # heads


def test_a_run_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    path, networks = tmp_path / "figures.jsonl", published(2)
    whole = list(program.compute(networks, TINY, path))
    lines = path.read_text().splitlines()
    assert len(lines) == 4
    marked = json.loads(lines[0])
    marked["figures"]["cpu_s"] = 99.0
    path.write_text("\n".join([json.dumps(marked), *lines[1:3], lines[3][:20]]))
    again = list(program.compute(networks, TINY, path))
    assert [found["trained"].corrected for _, found in again] == [
        found["trained"].corrected for _, found in whole
    ]
    assert again[0][1]["measured"].cpu_s == 99.0  # read, not computed
    assert len(path.read_text().splitlines()) == 4
    assert not program.read_figures(path, Settings(scale=4))


def test_a_metric_of_sizes_alone_says_nothing_beyond_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "DRAWS", 40)
    networks = published(120)
    score = [one.scores[MEAN] for one in networks]
    depth = [float(len(layers_of(one.architecture))) for one in networks]
    columns = [
        Column(metric="score", form="stored", values=score),
        Column(metric="score", form="published", values=[None, *score[1:]]),
        Column(metric="depth", form="corrected", values=depth),
    ]
    same, lacking, sizes = tables.columns_of(networks, columns)
    assert (same.tau.value, same.within.value, same.missing) == pytest.approx((1.0, 1.0, 0))
    assert same.partial.value == pytest.approx(1.0)
    assert same.verdict == "yes, beyond depth and hidden size"
    assert lacking.missing == 1
    assert lacking.as_stored is not None
    assert 0.9 < lacking.as_stored < 1
    assert sizes.tau.low > 0.3
    assert (sizes.within.value, sizes.partial.value) == pytest.approx((0.0, 0.0))
    assert sizes.verdict == "by depth and hidden size only"
    assert len(tables.printed([same, lacking, sizes]).splitlines()) == 5


def test_correlations_agree_with_plain_ones_of_the_rows_that_are_taken() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], [10, 20])
    score = rng.normal(size=30) + 9 * group
    values = (score + 2 * rng.normal(size=30)).round()  # with ties
    weights = np.array([np.ones(30), rng.integers(3, size=30)])
    for row, counts in enumerate(weights.astype(int)):
        x, y, g = (np.repeat(each, counts) for each in (values, score, group))
        plain = kendalltau(x, y).statistic
        assert taus(values, score, weights)[row] == pytest.approx(plain)
        pairs = [(g == each).sum() * ((g == each).sum() - 1) for each in (0, 1)]
        parts = [kendalltau(x[g == each], y[g == each]).statistic for each in (0, 1)]
        expected = np.dot(pairs, parts) / sum(pairs)
        assert within(values, score, group, weights)[row] == pytest.approx(expected)
        ranks = [rankdata(each) for each in (x, y)]
        known = np.stack([np.ones(len(g)), g], axis=1)
        rest = [each - known @ np.linalg.lstsq(known, each, rcond=None)[0] for each in ranks]
        expected = np.corrcoef(*rest)[0, 1]
        assert partial(values, score, group, weights)[row] == pytest.approx(expected)


@pytest.mark.slow
def test_the_program_prints_every_metric_of_the_shared_table(
    shared_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tables, "DRAWS", 5)
    options = ["--number=12", "--scale=8", "--batch=3", "--length=8", "--unit=char"]
    program.main(["--data", str(shared_data), "--out", str(tmp_path / "rows"), *options])
    text = capsys.readouterr().out
    for form in ("stored", "published", "trained", "corrected"):
        assert f"| synaptic_diversity_norm | {form} |" in text
