import csv
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.cells.cell import Cell, from_string
from vitruvius.spaces.macro import Macro
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture
from vitruvius.spaces.testing import SearchSpaceContract
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.references import recorded_part
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tasks.task import Constraints, Fidelity
from vitruvius.tasks.testing import TabularTaskContract

RESULTS = """\
arch.kind,arch.width,arch.skip,acc,acc_test,loss,seed,epochs,train_s,params,latency_ms,energy
conv,16,true,90.0,89.0,0.30,0,10,100,5000,2.0,7
conv,16,true,92.0,91.0,0.20,1,10,120,5000,2.2,7
conv,16,true,80.0,79.0,0.60,0,1,10,5000,2.1,7
conv,8,false,85.0,84.0,0.50,0,10,60,2000,1.0,4
pool,8,true,nan,nan,nan,0,10,30,500,0.5,2
pool,32,true,70.0,69.0,0.90,0,10,50,700,,3
"""
WITHOUT_NAN = "\n".join(line for line in RESULTS.splitlines() if "nan" not in line)
ONE = Fidelity(epochs=1)
TEN = Fidelity(epochs=10)


def load(ref: str, space=None) -> TabularTask:
    task = load_task(ref, space)
    assert isinstance(task, TabularTask)
    return task


def arch(kind: str, width: str, skip: str) -> Architecture:
    return Architecture.of({"kind": kind, "width": width, "skip": skip})


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.csv"
    path.write_text(RESULTS)
    return path


class TestNoise(TabularTaskContract):
    @pytest.fixture
    def task(self, results: Path) -> TabularTask:
        results.write_text(WITHOUT_NAN)
        return load(f"table:{results},metric=acc,noise=true,unit=%")


class TestLoss(TabularTaskContract):
    @pytest.fixture
    def task(self, results: Path) -> TabularTask:
        results.write_text(WITHOUT_NAN)
        return load(f"table:{results},metric=loss,direction=min,epochs=10,max_params=5000")


class TestItsSpace(SearchSpaceContract):
    @pytest.fixture
    def space(self, results: Path) -> Pool:
        space = load_space(f"table:{results}")
        assert isinstance(space, Pool)
        return space


def test_rows_of_one_architecture_are_runs_and_fidelities(results: Path) -> None:
    task, one = load(f"table:{results},metric=acc"), arch("conv", "16", "true")
    assert task.fidelity == TEN
    found = task.lookup(one, TEN, 5)
    assert (found.value, found.test, found.train_s, found.params) == (91.0, 90.0, 110.0, 5000)
    assert found.flops is None
    assert task.lookup(one, ONE, 0).value == 80.0
    noisy = load(f"table:{results},metric=acc,noise=true")
    assert [noisy.lookup(one, TEN, seed).value for seed in range(3)] == [90.0, 92.0, 90.0]
    assert list(task.fidelities.items()) == [(ONE, 10.0), (TEN, 55.0)]


def test_runs_are_drawn_in_the_order_of_their_seeds(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("arch.a,acc,seed\nx,3,7\nx,1,-2\nx,2,0\n")
    task = load(f"table:{tmp_path / 'r.csv'},noise=true")
    one = Architecture.of({"a": "x"})
    assert [task.lookup(one, ONE, seed).value for seed in range(4)] == [1, 2, 3, 1]


def test_a_cost_that_is_no_number_breaks_its_limit() -> None:
    limits = Constraints(caps=(("latency_ms", 3.0),))
    assert limits.violation(latency_ms=3.0) is None
    for unknown in (math.nan, None):
        assert "latency_ms is not known" in (limits.violation(latency_ms=unknown) or "")


def test_a_search_sees_what_is_recorded_at_its_fidelity(results: Path, tmp_path: Path) -> None:
    whole = load_space(f"table:{results}")
    assert isinstance(whole, Pool)
    short = load(f"table:{results},metric=acc,epochs=1")
    seen = recorded_part(short, whole.space)
    assert seen.members() == (arch("conv", "16", "true"),)
    assert load_space(seen.ref) == seen
    full = recorded_part(load(f"table:{results},metric=acc"), whole.space)
    assert set(full.members() or ()) == set(whole.members())
    path, written = cells(tmp_path)
    task = load(f"table:{path}", load_space("nb201:channels=16"))
    part = recorded_part(task, load_space("nb201:channels=16"))
    assert part.id == load_space("nb201:channels=16").id
    assert load_space(part.ref) == part
    assert {Cell().canonical(one) for one in written} == set(part.members() or ())


def test_what_is_not_recorded_at_a_fidelity_is_said(results: Path) -> None:
    task = load(f"table:{results},metric=acc")
    with pytest.raises(ToolError, match="nothing is recorded"):
        task.lookup(arch("conv", "8", "false"), ONE, 0)
    with pytest.raises(ToolError, match="no row for"):
        task.lookup(arch("conv", "32", "false"), TEN, 0)
    with pytest.raises(ToolError, match="10, 1 epochs, not 5"):
        task.lookup(arch("conv", "8", "false"), Fidelity(epochs=5), 0)
    assert math.isnan(task.lookup(arch("pool", "8", "true"), TEN, 0).value)


def test_the_columns_make_a_space(results: Path) -> None:
    space = load_space(f"table:{results}")
    assert isinstance(space, Pool)
    assert space.name == "results"
    kind, width, skip = space.slots
    assert (kind.name, kind.names, kind.is_ordinal) == ("kind", ("conv", "pool"), False)
    assert (width.names, width.is_ordinal) == (("8", "16", "32"), True)
    assert [choice.value for choice in width.choices] == [8, 16, 32]
    assert skip.names == ("false", "true")
    assert len(space.members()) == 4
    assert space.parse({"kind": "pool", "width": 32, "skip": "true"}) in space.members()
    load(f"table:{results},metric=acc").check_space(space)


def test_names_at_several_slots_have_a_share(tmp_path: Path) -> None:
    (tmp_path / "ops.csv").write_text("arch.a,arch.b,acc\nconv,conv,1\npool,conv,2\nconv,pool,3\n")
    space = load_space(f"table:{tmp_path / 'ops.csv'}")
    assert "share(choice=conv)" in [feature.name for feature in space.features]
    wide = ["arch." + str(n) for n in range(15)]
    rows = [",".join([*(f"op{(n + r) % 4}" for n in range(15)), str(r)]) for r in range(4)]
    (tmp_path / "wide.csv").write_text("\n".join([",".join([*wide, "acc"]), *rows]))
    assert len(load_space(f"table:{tmp_path / 'wide.csv'}").features) == 64
    wider = [row.replace(",", f",y{r},z{r},", 1) for r, row in enumerate(rows)]
    header = ",".join([wide[0], "arch.y", "arch.z", *wide[1:], "acc"])
    (tmp_path / "wider.csv").write_text("\n".join([header, *wider]))
    with pytest.raises(ConfigError, match="would have 68 features"):
        load_space(f"table:{tmp_path / 'wider.csv'}")


def test_columns_may_be_named_instead_of_marked(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("depth;act;score\n2;relu;1.5\n4;gelu;0.5\n")  # as spreadsheets write it
    assert load(f"table:{path},columns=depth|act").table.space.slots[0].name == "depth"
    task = load(f"table:{path},columns=depth;act,direction=min")
    assert task.metric.name == "score"
    assert load_space(f"table:{path},columns=depth;act").slots == task.table.space.slots
    assert task.lookup(Architecture.of({"depth": "4", "act": "gelu"}), ONE, 0).value == 0.5
    assert load(task.ref).id == task.id
    with pytest.raises(ConfigError, match="does not say which columns are the architecture"):
        load(f"table:{path}")


def cells(tmp_path: Path, *, header: str = "") -> tuple[Path, list[Architecture]]:
    """Returns a file of 30 cells, one column an edge, and the cells as written."""
    rng = np.random.default_rng(0)
    slots = Cell().slots
    rows = [{slot.name: slot.names[rng.integers(5)] for slot in slots} for _ in range(30)]
    with (tmp_path / "cells.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(header + slot.name for slot in slots), "acc"])
        for number, row in enumerate(rows):
            writer.writerow([*row.values(), 50 + number])
    return tmp_path / "cells.csv", [Architecture.of(row) for row in rows]


@pytest.mark.parametrize("header", ["", "arch."])
def test_rows_of_a_known_space_answer_for_their_class(tmp_path: Path, header: str) -> None:
    path, written = cells(tmp_path, header=header)
    task, space = load(f"table:{path}"), load_space(f"table:{path}")
    assert task.table.space == Cell()
    assert isinstance(space, Pool)
    assert (space.space, space.name) == (Cell(), "nb201")
    for number, one in enumerate(written):
        assert task.lookup(one, ONE, 0).value == 50 + number
    first = {Cell().canonical(one): n for n, one in reversed(list(enumerate(written)))}
    assert set(space.members()) == set(first)
    for canonical, number in first.items():
        exact = [n for n, one in enumerate(written) if one == canonical]
        assert task.lookup(canonical, ONE, 0).value == 50 + (exact or [number])[0]


def test_whole_architectures_in_one_column(tmp_path: Path) -> None:
    text = "|none~0|+|none~0|skip_connect~1|+|nor_conv_3x3~0|none~1|none~2|"
    (tmp_path / "a.csv").write_text(f"arch,acc\n{text},3\n")
    task = load(f"table:{tmp_path / 'a.csv'}")
    assert task.lookup(from_string(text), ONE, 0).value == 3
    assert task.lookup(Cell().parse(text), ONE, 0).value == 3
    macro = Macro().sample(np.random.default_rng(0))
    with (tmp_path / "b.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["arch", "acc"], [macro.text, 4]])
    assert load(f"table:{tmp_path / 'b.csv'}").lookup(macro, ONE, 0).value == 4
    (tmp_path / "c.csv").write_text("arch,acc\nwhat is this,3\n")
    with pytest.raises(ConfigError, match=r"row 1 of c.csv has an architecture of no known space"):
        load(f"table:{tmp_path / 'c.csv'}")
    (tmp_path / "d.csv").write_text(f"arch,acc\n{text},3\n|x~0|,4\n")
    with pytest.raises(ConfigError, match=r"row 2 of d.csv: expected a cell like"):
        load(f"table:{tmp_path / 'd.csv'},space=nb201")


OWN_SPACE = """
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Choice, Slot
space = SlotSpace("mine", [
    Slot(name="depth", choices=tuple(Choice(name=f"d{n}", value=n) for n in (1, 2, 3))),
    Slot(name="act", choices=(Choice(name="relu"), Choice(name="gelu"))),
])
"""


def test_the_space_that_is_searched_is_that_of_a_file_with_its_slots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(OWN_SPACE)
    (tmp_path / "r.csv").write_text("depth,act,acc\n1,relu,1\n3,gelu,2\n")
    monkeypatch.chdir(tmp_path)
    space = load_space("mine.py:space")
    task = load("table:r.csv", space)
    assert task.table.space is space
    assert task.ref == f"table:{tmp_path}/r.csv,space={tmp_path}/mine.py:space"
    assert task.lookup(space.parse({"depth": 3, "act": "gelu"}), ONE, 0).value == 2
    assert load(task.ref).id == task.id  # the reference says the space from now on
    (tmp_path / "r.csv").write_text("depth,act,acc\n1,relu,1\n4,gelu,2\n")
    with pytest.raises(ConfigError, match=r"row 2 of r.csv: slot depth .* d1, d2, d3, got '4'"):
        load("table:r.csv,space=mine.py:space")
    with pytest.raises(ConfigError, match=r"the space macro has the slots .* of r.csv are act, de"):
        load("table:r.csv,columns=depth;act,space=macro")


def test_a_space_given_as_an_object_leaves_no_reference(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("arch.a,acc\nx,1\ny,2\n")
    space = load_space(f"table:{tmp_path / 'r.csv'}")
    assert isinstance(space, SlotSpace)  # the file has all of it
    assert load(f"table:{tmp_path / 'r.csv'}", space).ref == f"table:{tmp_path / 'r.csv'}"
    again = SlotSpace("mine", space.slots)
    assert load(f"table:{tmp_path / 'r.csv'}", again).ref == ""


@pytest.mark.parametrize(
    "option",
    ["metric=loss", "direction=min", "epochs=1", "noise=true", "max_params=9", "max_energy=5"],
)
def test_each_option_changes_the_id(results: Path, option: str) -> None:
    plain = f"table:{results},metric=acc"
    changed = f"table:{results},{option}" + ("" if "metric" in option else ",metric=acc")
    assert load(changed).id != load(plain).id
    assert load(changed).table.space == load(plain).table.space


def test_costs_are_told_beforehand_and_the_other_metrics_are_not(results: Path) -> None:
    one = arch("conv", "16", "true")
    task = load(f"table:{results},metric=acc")
    assert task.costs(one) == {"params": 5000, "latency_ms": pytest.approx(2.1)}
    assert task.costs(arch("pool", "32", "true")) == {"params": 700}  # an empty cell
    assert task.costs(arch("conv", "8", "true")) is None
    capped = load(f"table:{results},metric=acc,max_energy=5,max_latency_ms=1.5")
    assert capped.costs(one) == {"params": 5000, "latency_ms": pytest.approx(2.1), "energy": 7}
    assert dict(capped.constraints.caps) == {"energy": 5, "latency_ms": 1.5}
    assert capped.describe().endswith("Limits: at most 5 energy and at most 1.5 ms of latency.")


HEADER = "arch.a,arch.b,acc,seed,epochs,train_s,params\n"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", "", "has no rows"),
        ("arch.a,acc\n", "", "has no rows"),
        ("arch.a,acc\nx,1\n", "metric=f1", r"has no column 'f1'; it has arch.a, acc"),
        ("arch.a,acc,f1\nx,1,2\n", "", r"say which column .*: acc, f1"),
        ("arch.a\nx\n", "", "it has none besides"),
        ("arch.a,acc\nx,1\ny,high\n", "", r"row 2 of t.csv: acc must be a number, got 'high'"),
        ("arch.a,acc\nx,1\ny,\n", "", r"row 2 of t.csv: acc is empty; write nan"),
        ("arch.a,acc\nx,1\n,2\n", "", r"row 2 of t.csv: the architecture column arch.a is empty"),
        ("arch.a,acc\nx,1\ny\n", "", r"row 2 of t.csv has 1 cells, its header 2"),
        ("arch.a,acc,acc\nx,1,2\n", "", "two columns 'acc'"),
        ("arch.a,,acc\nx,1,2\n", "", "column 2 of t.csv has no name"),
        ("arch.a,acc\nx,1\ny,2\nx,3\n", "", r"row 3 .* same architecture as row 1; a column seed"),
        (HEADER + "x,y,1,0,1,5,9\nx,y,2,0,1,5,9\n", "", "row 2 .* epochs and seed as row 1"),
        (HEADER + "x,y,1,0,0.5,5,9\n", "", r"row 1 .*epochs must be a whole number from 1"),
        (HEADER + "x,y,1,zero,1,5,9\n", "", r"row 1 .*seed must be a number, got 'zero'"),
        (HEADER + "x,y,1,0,1,-5,9\n", "", r"row 1 .*train_s must be seconds from 0, got '-5'"),
        (HEADER + "x,y,1,0,1,5,0.13\n", "", r"row 1 .*params must be a whole number from 0"),
        ('arch.a,acc\n"x\n# y",1\n', "", r"row 1 of t.csv: arch.a must be printable text"),
        (f"arch.a,acc\n{'x' * 99},1\n", "", r"row 1 of t.csv: arch.a must be printable text"),
        ('"arch.\x1b[1m",acc\nx,1\n', "", r"must have a printable name"),
        ("arch.,acc\nx,1\n", "", r"must have a printable name"),
        ("arch.a,acc\nx,1\n", "columns=b", "has no column 'b'"),
        ("arch.a,acc\nx,1\n", "metric=arch.a", "is an architecture column of t.csv, no metric"),
        ("arch.a,acc\nx,1\n", "space=nb201", r"the space nb201 has the slots edge_0_1, .* are a$"),
        ("arch.a,acc\nx,1\n", "space=nowhere", "there is no space 'nowhere'"),
        ("arch.a,acc\nx,1\n", "max_energy=2", "has no column 'energy'"),
        ("arch.a,acc\nx,1\n", "max_acc=2", "acc is what is searched for"),
        ("arch.a,acc\nx,1\n", "max_latency_ms=2", "records no latency_ms to limit; .* no costs"),
        ("arch.a,acc\nx,1\n", "max_params=2,params=3", "params and max_params: they are the same"),
        ("arch.a,acc\nx,1\n", "max_energy=low", "max_energy of table must be above 0"),
        ("arch.a,acc\nx,1\n", "direction=up", "must be one of max, min"),
        ("arch.a,acc\nx,1\n", "noise=true", "no single runs at 1 epochs"),
        ("arch.a,acc\nx,1\n", "epochs=3", "must be one of 1, got '3'"),
        ("arch.a,acc\nx,1\n", "metrics=acc", "did you mean 'metric'"),
        ("arch.a,acc\nx,1\n", "latency=x", "expected latency=PATH:DEVICE"),
        ("arch.a,acc\nx,1\n", "latency=x.csv:gpu", "there is no table at"),
    ],
)
def test_wrong_files_are_refused_in_one_sentence(
    tmp_path: Path, text: str, options: str, message: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ConfigError, match=message) as refused:
        load(f"table:{tmp_path / 't.csv'}" + (f",{options}" if options else ""))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("table", "needs a path"),
        ("table:{},metric=acc", "no option 'metric'; it has columns, space, epochs"),
        ("table:{},epochs=3", "has rows of 1, 10 epochs, not of '3'"),
        ("table:nowhere.csv", "there is no table at"),
    ],
)
def test_wrong_references_of_a_space_are_refused(results: Path, ref: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_space(ref.format(results))


def test_parquet_and_csv_are_one_format(results: Path, tmp_path: Path) -> None:
    with results.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [_typed(name, row[name]) for row in rows] for name in rows[0]}
    pq.write_table(pa.table(columns), tmp_path / "results.parquet")
    one = arch("conv", "16", "true")
    text, packed = (
        load(f"table:{path},metric=acc") for path in (results, tmp_path / "results.parquet")
    )
    assert text.table.space.slots == packed.table.space.slots
    assert text.lookup(one, TEN, 0) == packed.lookup(one, TEN, 0)
    assert text.costs(one) == packed.costs(one)


def _typed(name: str, text: str) -> object:
    if name == "arch.skip":
        return text == "true"
    if name in ("arch.kind",):
        return text
    if name in ("seed", "epochs", "params", "arch.width"):
        return int(text)
    return float(text) if text else None


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda number: round(number, 6))


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]], list[float]]:
    slots = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    kinds = [draw(st.sampled_from([NAMES, st.integers(-9, 9).map(str)])) for _ in slots]
    rows = draw(st.lists(st.tuples(*kinds).map(list), min_size=1, max_size=8, unique_by=tuple))
    return slots, rows, draw(st.lists(NUMBERS, min_size=len(rows), max_size=len(rows)))


@settings(max_examples=60, deadline=None)
@given(table=tables(), packed=st.booleans())
def test_what_is_written_is_read(tmp_path_factory, table, packed: bool) -> None:
    slots, rows, values = table
    path = tmp_path_factory.mktemp("t") / ("t.parquet" if packed else "t.csv")
    names = [f"arch.{slot}" for slot in slots]
    if packed:
        columns = {n: [row[i] for row in rows] for i, n in enumerate(names)}
        pq.write_table(pa.table({**columns, "score": values}), path)
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*names, "score"])
            writer.writerows([*row, value] for row, value in zip(rows, values, strict=True))
    task, space = load(f"table:{path}"), load_space(f"table:{path}")
    for row, value in zip(rows, values, strict=True):
        one = space.parse(dict(zip(slots, row, strict=True)))
        assert task.lookup(one, ONE, 0).value == value
    members = space.members()
    assert members is not None
    assert len(members) == len(rows)
    assert np.isfinite(space.featurise(members)).all()
    assert load(task.ref).id == task.id
