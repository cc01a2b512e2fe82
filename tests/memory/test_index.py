"""The index of principles: found by words, scope and features; thrown away and rebuilt."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from vitruvius.errors import VitruviusError
from vitruvius.memory.edits import Add, Retire
from vitruvius.memory.index import principle_index as index_module
from vitruvius.memory.index.chroma_store import ChromaStore
from vitruvius.memory.index.embedding import embed, text_of
from vitruvius.memory.index.principle_index import OTHER_SPACE, PrincipleIndex, overlap
from vitruvius.memory.ledger import principles as ledger_principles
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import PrincipleVersion, Run
from vitruvius.spaces.rules import RangeCondition, Rule, SlotCondition

SLOTS = ("stem", "trunk", "neck", "head")
FEATURES = {f"{slot}=conv" for slot in SLOTS}
WRITER = """
import sys
from pathlib import Path
from vitruvius.memory.edits import Add
from vitruvius.memory.index.principle_index import PrincipleIndex
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.spaces.rules import Rule, SlotCondition

home, run_id = Path(sys.argv[1]), sys.argv[2]
ledger = Ledger.open(home)
index = PrincipleIndex(home, ledger)
number = ledger.principles.count_versions()
while True:
    number += 1
    one = Rule(stance="require", all=(SlotCondition(slot=f"edge_{number}", choices=("conv",)),))
    edit = Add(rationale="seen", statement=f"convolve at edge {number}", rule=one)
    version = ledger.principles.apply_edit(run_id, "t", "nb201", number, "m", edit)
    index.add([version])
    print(version.name, flush=True)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"  # of the ledger fixture


@pytest.fixture
def index(home: Path, ledger: Ledger) -> Iterator[PrincipleIndex]:
    opened = PrincipleIndex(home, ledger)
    yield opened
    opened.close()


@pytest.fixture
def written(
    ledger: Ledger, new_run: Callable[..., Run], rule: Callable[..., Rule]
) -> list[PrincipleVersion]:
    """A principle per slot of space nb201, and one of space macro."""
    run = new_run(ledger)

    def write(slot: str, space: str) -> PrincipleVersion:
        edit = Add(rationale="seen", statement=f"convolve at the {slot}", rule=rule((slot, "conv")))
        return ledger.principles.apply_edit(run.id, "mnist1d", space, 1, "analyst", edit)

    return [write(slot, "nb201") for slot in SLOTS] + [write("stem", "macro")]


def test_words_and_scope_decide(index: PrincipleIndex, written: list[PrincipleVersion]) -> None:
    index.add(written)
    found = index.search("what to do at the neck", "nb201", FEATURES, 10)
    assert found[0][0] == "P3.1"
    assert {name for name, _ in found} == {version.name for version in written}
    assert all(0.0 < similarity <= 1.0 for _, similarity in found)
    assert found == sorted(found, key=lambda pair: -pair[1])
    same = dict(index.search("convolve at the stem", "nb201", FEATURES, 10))
    assert same["P5.1"] == pytest.approx(OTHER_SPACE * same["P1.1"], abs=1e-5)
    assert len(index.search("stem", "nb201", FEATURES, 2)) == 2


def test_what_a_space_cannot_express_is_left_out(
    index: PrincipleIndex, written: list[PrincipleVersion]
) -> None:
    index.add(written)
    assert [name for name, _ in index.search("neck", "nb201", {"neck=conv"}, 9)] == ["P3.1"]
    assert index.search("neck", "nb201", set(), 9) == []


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"a=x", "a=y", "depth"}, 1.0),
        ({"a", "depth"}, 1.0),
        ({"a=x", "depth"}, 0.75),
        ({"depth"}, 0.5),
        ({"b=x"}, 0.0),
    ],
)
def test_overlap_is_a_share_of_the_rule(known: set[str], expected: float) -> None:
    conditions = (
        SlotCondition(slot="a", choices=("x", "y")),
        RangeCondition(feature="depth", at_least=2),
    )
    assert overlap(Rule(stance="avoid", all=conditions), known) == expected


def test_only_current_versions_are_found(
    index: PrincipleIndex, ledger: Ledger, written: list[PrincipleVersion]
) -> None:
    index.add(written)
    retire = Retire(rationale="wrong", principle="P3")
    run_id = written[0].run_id
    index.add([ledger.principles.apply_edit(run_id, "mnist1d", "nb201", 2, "analyst", retire)])
    assert "P3.1" not in dict(index.search("neck", "nb201", FEATURES, 10))
    assert index.missing() == []


def test_a_second_process_searches_the_ledger_and_finds_the_same(
    index: PrincipleIndex,
    home: Path,
    ledger: Ledger,
    written: list[PrincipleVersion],
    rule: Callable[..., Rule],
) -> None:
    index.add(written)
    other = PrincipleIndex(home, ledger)
    edit = Add(rationale="seen", statement="skip the neck", rule=rule(("neck", "skip")))
    # the other one does not hold the lock: the holder catches up
    other.add([ledger.principles.apply_edit(written[0].run_id, "mnist1d", "nb201", 2, "m", edit)])
    bare = PrincipleIndex(None, ledger)
    found = index.search("the neck", "nb201", FEATURES | {"neck=skip"}, 10)
    assert len(found) == 6
    assert other.search("the neck", "nb201", FEATURES | {"neck=skip"}, 10) == found
    assert bare.search("the neck", "nb201", FEATURES | {"neck=skip"}, 10) == found
    assert index.missing() == []
    for refused in (other.rebuild, other.missing):
        with pytest.raises(VitruviusError, match="another process holds"):
            refused()
    index.close()
    assert other.missing() == []
    other.close()
    assert (bare.missing(), bare.rebuild()) == ([], 0)


def test_enough_is_found_among_many(
    index: PrincipleIndex, ledger: Ledger, new_run: Callable[..., Run], rule: Callable[..., Rule]
) -> None:
    run = new_run(ledger)
    written = []
    for n in range(120):
        edit = Add(rationale="seen", statement=f"number {n} of many", rule=rule((f"s{n}", "conv")))
        written.append(ledger.principles.apply_edit(run.id, "t", "nb201", n, "m", edit))
        if n % 2:
            gone = Retire(rationale="wrong", principle=f"P{n + 1}")
            ledger.principles.apply_edit(run.id, "t", "nb201", n, "m", gone)
    index.add(written)
    features = {f"s{n}=conv" for n in range(120)}
    found = index.search("number 8 of many", "nb201", features, 60)
    assert found[0][0] == "P9.1"
    assert len(found) == 60
    bare = PrincipleIndex(None, ledger).search("number 8 of many", "nb201", features, 5)
    assert found[:5] == bare


def test_chroma_keeps_our_vectors(
    index: PrincipleIndex, home: Path, ledger: Ledger, written: list[PrincipleVersion]
) -> None:
    index.add(written)
    index.add(written)
    index.close()
    store = ChromaStore(home / index_module.FOLDER)
    assert store.acquire()
    assert store.names() == {version.name for version in written}
    for version in written:
        vector = embed([text_of(version)])[0]
        assert store.nearest(vector, 1, version.space_name) == [version.name]
        assert np.array_equal(ledger.principles.vectors([version.name])[version.name], vector)
    store.close()


def test_a_lost_index_is_rebuilt(
    index: PrincipleIndex, home: Path, ledger: Ledger, written: list[PrincipleVersion]
) -> None:
    index.add(written)
    before = index.search("neck", "nb201", FEATURES, 9)
    index.close()
    shutil.rmtree(home / index_module.FOLDER)
    fresh = PrincipleIndex(home, ledger)
    assert fresh.missing() == [version.name for version in written]
    assert fresh.rebuild() == len(written)
    assert fresh.missing() == []
    assert fresh.search("neck", "nb201", FEATURES, 9) == before
    fresh.close()


def test_a_damaged_index_is_told_searched_around_and_rebuilt(
    index: PrincipleIndex,
    home: Path,
    ledger: Ledger,
    written: list[PrincipleVersion],
    caplog: pytest.LogCaptureFixture,
) -> None:
    index.add(written)
    before = index.search("neck", "nb201", FEATURES, 9)
    index.close()
    (home / index_module.FOLDER / "chroma-1/chroma.sqlite3").write_bytes(b"\x55" * 9000)
    fresh = PrincipleIndex(home, ledger)
    fresh.add(written)
    assert fresh.search("neck", "nb201", FEATURES, 9) == before
    assert "doctor --repair" in caplog.text
    with pytest.raises(VitruviusError, match="cannot be read"):
        fresh.missing()
    assert fresh.rebuild() == len(written)
    assert fresh.missing() == []
    fresh.close()


def test_an_encoder_of_another_release_is_made_anew(
    ledger: Ledger, written: list[PrincipleVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = written[0].name
    before = ledger.principles.vectors()[name]
    monkeypatch.setattr(ledger_principles, "ENCODER", "of-tomorrow")
    monkeypatch.setattr(ledger_principles, "embed", lambda texts: -embed(texts))
    assert np.array_equal(ledger.principles.vectors([name])[name], -before)


def test_a_kill_while_writing_leaves_what_repair_mends(
    home: Path, ledger: Ledger, new_run: Callable[..., Run]
) -> None:
    run = new_run(ledger)
    for _ in range(2):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(home), run.id],
            env={"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline().strip() for _ in range(3)]
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        acknowledged += rest.split()[:-1]
        index = PrincipleIndex(home, ledger)
        lost = index.missing()
        assert len(lost) <= 1
        assert not set(lost) & set(acknowledged)
        assert index.rebuild() == ledger.principles.count_versions()
        assert index.missing() == []
        index.close()
