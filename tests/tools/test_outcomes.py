import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vitruvius.tools.training.evaluation import (
    Failed,
    FailureKind,
    Outcome,
    Request,
    Trained,
    adopt,
    outcome_path,
    sweep,
    weights_path,
    write_outcome,
)

OUTCOMES = [
    Trained(value=0.1 + 0.2, test=None, train_s=1.5),
    Trained(
        value=91.25, test=90.0, train_s=2.0, curve=(50.0, 91.25), params=7, flops=9, peak_mib=1.5
    ),
    Failed(kind=FailureKind.OUT_OF_MEMORY, message="100 ä: “too big”\n  line", train_s=0.5),
]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_is_written_is_adopted(
    tmp_path: Path, toy_request: Callable[..., Request], outcome: Outcome
) -> None:
    request = toy_request(4, "mlp")
    write_outcome(tmp_path, request, outcome)
    assert adopt(tmp_path, 4) == outcome
    assert adopt(tmp_path, 4, request) == outcome


def test_weights_are_found_where_the_folder_has_moved(
    tmp_path: Path, toy_request: Callable[..., Request]
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    outcome = replace(OUTCOMES[0], weights=weights_path(old, 4))
    write_outcome(old, toy_request(4, "mlp"), outcome)
    old.rename(new)
    assert adopt(new, 4) == replace(outcome, weights=weights_path(new, 4))


def test_nothing_or_something_half_written_is_no_outcome(
    tmp_path: Path, toy_request: Callable[..., Request]
) -> None:
    assert adopt(tmp_path, 4) is None
    write_outcome(tmp_path, toy_request(4, "mlp"), OUTCOMES[1])
    path = outcome_path(tmp_path, 4)
    path.write_bytes(path.read_bytes()[:-30])
    assert adopt(tmp_path, 4) is None


def test_the_outcome_of_another_request_is_none_of_ours(
    tmp_path: Path, toy_request: Callable[..., Request]
) -> None:
    write_outcome(tmp_path, toy_request(4, "mlp"), OUTCOMES[1])
    for other in (
        toy_request(4, "linear"),
        toy_request(4, "mlp", seed=2),
        toy_request(4, "mlp", data=0.5),
    ):
        assert adopt(tmp_path, 4, other) is None


def test_a_failed_write_leaves_nothing_behind(
    tmp_path: Path, toy_request: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_outcome(tmp_path, toy_request(4, "mlp"), OUTCOMES[1])
    assert list((tmp_path / "outcomes").iterdir()) == []
    assert adopt(tmp_path, 4) is None


def test_sweeping_removes_leftovers_only(
    tmp_path: Path, toy_request: Callable[..., Request]
) -> None:
    sweep(tmp_path)  # before there is anything
    write_outcome(tmp_path, toy_request(4, "mlp"), OUTCOMES[1])
    leftover = tmp_path / "outcomes" / ".5.json.123.tmp"
    leftover.write_text("{")
    sweep(tmp_path)
    assert not leftover.exists()
    assert adopt(tmp_path, 4) == OUTCOMES[1]


def test_a_later_format_is_not_read(tmp_path: Path, toy_request: Callable[..., Request]) -> None:
    write_outcome(tmp_path, toy_request(4, "mlp"), OUTCOMES[1])
    path = outcome_path(tmp_path, 4)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    assert adopt(tmp_path, 4) is None
