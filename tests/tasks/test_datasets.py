import gzip
import random
import struct
from pathlib import Path

import numpy as np
import pytest

from vitruvius.errors import ConfigError
from vitruvius.tasks.data.bundled import generate_mnist1d
from vitruvius.tasks.data.datasets import DatasetTask, create_dataset_task
from vitruvius.tasks.data.examples import Examples, check_examples, split
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Constraints, Fidelity, Recipe, TrainableTask
from vitruvius.tasks.testing import TrainableTaskContract

RNG = np.random.default_rng(7)


def blobs(n: int = 120, classes: int = 3, length: int = 6) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(n) % classes
    return np.random.default_rng(1).normal(size=(n, length)) + labels[:, None], labels


def write_idx(path: Path, array: np.ndarray) -> None:
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    raw = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


def write_idx_folder(folder: Path, *, suffix: str = "", with_test: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(2)
    for part, n in (("train", 90), ("t10k", 30)):
        if part == "train" or with_test:
            images = rng.integers(0, 256, size=(n, 5, 4))
            write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", images)
            write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", np.arange(n) % 3)
    return folder


def load(ref: str) -> DatasetTask:
    task = load_task(ref)
    assert isinstance(task, DatasetTask)
    return task


class TestMnist1d(TrainableTaskContract):
    @pytest.fixture
    def task(self) -> TrainableTask:
        return load("mnist1d:epochs=2,samples=200")


class TestDigits(TrainableTaskContract):
    @pytest.fixture
    def task(self) -> TrainableTask:
        return load("digits:params=10000")


class TestIdx(TrainableTaskContract):
    @pytest.fixture
    def task(self, tmp_path: Path) -> TrainableTask:
        return load(f"data:{write_idx_folder(tmp_path / 'some, data', suffix='.gz')},batch=8")


class TestUserFunction(TrainableTaskContract):
    @pytest.fixture
    def task(self, tmp_path: Path) -> TrainableTask:
        file = tmp_path / "my_data.py"
        file.write_text(
            "import numpy as np\n"
            "def blobs():\n"
            "    labels = np.arange(90) % 3\n"
            "    return np.random.default_rng(0).normal(size=(90, 2, 16)), labels\n"
        )
        return load(f"{file}:blobs")


def test_default_job_is_mnist1d_with_4000_examples_and_8_epochs() -> None:
    task = load("mnist1d")
    assert task.fidelity == Fidelity(epochs=8)
    assert task.recipe == Recipe()
    assert "samples" not in task.ref
    assert task.id == load("mnist1d:samples=4000,epochs=8").id
    assert task.id.startswith("mnist1d-")


@pytest.mark.parametrize(
    "option", ["epochs=3", "batch=32", "lr=0.5", "samples=100", "params=9", "flops=9"]
)
def test_each_option_changes_the_id(option: str) -> None:
    assert load(f"mnist1d:{option}").id != load("mnist1d").id
    assert load(f"digits:{option}").id != load("digits").id


def test_options_reach_recipe_and_constraints() -> None:
    task = load("mnist1d:epochs=3,batch=32,lr=0.5,params=1e6,flops=2_000")
    assert task.recipe == Recipe(epochs=3, batch_size=32, learning_rate=0.5)
    assert task.constraints == Constraints(params=1_000_000, flops=2000)


def test_held_out_parts_of_mnist1d_do_not_depend_on_samples() -> None:
    small, large = generate_mnist1d(100), generate_mnist1d(150)
    np.testing.assert_array_equal(small.valid.labels, large.valid.labels)
    correlation = np.corrcoef(small.valid.inputs.ravel(), large.valid.inputs.ravel())[0, 1]
    assert correlation > 0.999999  # equal but for the standardisation by another training part


def test_mnist1d_is_what_the_package_draws_from_its_seed() -> None:
    from mnist1d.data import get_dataset_args, get_templates
    from mnist1d.transform import transform

    templates, arguments = get_templates(), get_dataset_args()
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(42)  # noqa: NPY002
    first = transform(templates["x"][0], templates["t"], arguments)[0]
    np.random.set_state(state)  # noqa: NPY002
    splits = generate_mnist1d(100)
    assert splits.valid.labels[0] == 0
    assert np.corrcoef(splits.valid.inputs[0, 0], first)[0, 1] == pytest.approx(1.0)


def test_mnist1d_ignores_the_state_of_global_generators_and_restores_it() -> None:
    first = generate_mnist1d(50)
    generate_mnist1d.cache_clear()
    np.random.seed(123)  # noqa: NPY002
    random.seed(123)
    expected = np.random.RandomState(123).rand()
    again = generate_mnist1d(50)
    assert np.random.rand() == expected  # noqa: NPY002
    assert random.random() == random.Random(123).random()
    np.testing.assert_array_equal(first.train.inputs, again.train.inputs)


def test_split_is_stratified_and_complete() -> None:
    inputs, labels = blobs(n=400, classes=4)
    splits = split(Examples(learn=check_examples(inputs, labels, "blobs")))
    sizes = [len(p.labels) for p in (splits.train, splits.valid, splits.test)]
    assert sizes == [280, 60, 60]
    for part in (splits.train, splits.valid, splits.test):
        assert len(set(np.bincount(part.labels).tolist())) == 1


def test_statistics_are_those_of_the_training_part_alone() -> None:
    inputs, labels = blobs()
    learn = check_examples(inputs, labels, "blobs")
    test = check_examples(inputs * 100 + 7, labels, "blobs")
    with_test = split(Examples(learn=learn, test=test))
    other_test = split(Examples(learn=learn, test=learn))
    np.testing.assert_array_equal(with_test.train.inputs, other_test.train.inputs)
    np.testing.assert_array_equal(with_test.valid.inputs, other_test.valid.inputs)
    assert abs(with_test.test.inputs.mean()) > 1


def test_samples_caps_the_training_part_only() -> None:
    inputs, labels = blobs(n=300)
    whole = create_dataset_task(inputs, labels).load()
    capped = create_dataset_task(inputs, labels, samples=60).load()
    assert len(capped.train.labels) == 60
    np.testing.assert_array_equal(capped.valid.labels, whole.valid.labels)
    assert len(capped.test.labels) == len(whole.test.labels)


def test_labels_become_consecutive_in_increasing_order() -> None:
    inputs, labels = blobs(classes=3)
    task = create_dataset_task(inputs, np.array([10, 20, 40])[labels])
    assert task.signature.outputs == 3
    plain = create_dataset_task(inputs, labels).load()
    np.testing.assert_array_equal(task.load().train.labels, plain.train.labels)


def test_a_constant_channel_stays_finite() -> None:
    inputs, labels = blobs(length=8)
    stacked = np.stack([inputs, np.full_like(inputs, 3.0)], axis=1)  # [N, 2, 8]
    loaded = create_dataset_task(stacked, labels).load()
    assert (loaded.train.inputs[:, 1] == 0).all()


@pytest.mark.parametrize(
    ("shape", "kind", "expected"),
    [
        ((9, 40), None, (1, 40)),
        ((9, 28, 28), None, (1, 28, 28)),
        ((9, 3, 128), None, (3, 128)),
        ((9, 8, 8), "sequence", (8, 8)),
        ((9, 2, 128), "image", (1, 2, 128)),
        ((9, 3, 16, 16), None, (3, 16, 16)),
        ((9, 16, 16, 3), None, (3, 16, 16)),
        ((9, 16, 12, 12), None, (16, 12, 12)),
    ],
)
def test_shapes_are_read_as_documented(shape, kind, expected) -> None:
    checked = check_examples(np.zeros(shape), np.zeros(9, dtype=int), "x", kind)
    assert checked.inputs.shape[1:] == expected


def test_channels_last_images_keep_their_pixels() -> None:
    images = RNG.normal(size=(4, 6, 5, 3)).astype(np.float32)
    checked = check_examples(images, np.zeros(4, dtype=int), "x")
    np.testing.assert_array_equal(checked.inputs[2, 1], images[2, :, :, 1])


def test_idx_files_of_their_own_are_the_test_part(tmp_path: Path) -> None:
    task = load(f"data:{write_idx_folder(tmp_path / 'a')}")
    splits = task.load()
    assert task.signature.input_shape == (1, 5, 4)
    assert len(splits.test.labels) == 30
    assert len(splits.train.labels) + len(splits.valid.labels) == 90
    gzipped = load(f"data:{write_idx_folder(tmp_path / 'b', suffix='.gz')}").load()
    np.testing.assert_array_equal(gzipped.test.inputs, splits.test.inputs)
    alone = load(f"data:{write_idx_folder(tmp_path / 'c', with_test=False)}").load()
    assert sum(len(p.labels) for p in (alone.train, alone.valid, alone.test)) == 90


def test_idx_values_are_those_of_the_file(tmp_path: Path) -> None:
    from vitruvius.tasks.data.files import read_idx

    array = RNG.integers(0, 256, size=(3, 2, 2))
    write_idx(tmp_path / "x-idx3-ubyte", array)
    np.testing.assert_array_equal(read_idx(tmp_path / "x-idx3-ubyte"), array)
    (tmp_path / "f").write_bytes(struct.pack(">HBBI", 0, 13, 1, 2) + struct.pack(">2f", 1.5, -2))
    assert read_idx(tmp_path / "f").tolist() == [1.5, -2.0]


@pytest.mark.parametrize(
    "names", [("inputs", "labels"), ("x", "y"), ("images", "labels"), ("data", "target")]
)
def test_npz_archives_under_usual_names(tmp_path: Path, names: tuple[str, str]) -> None:
    np.savez(tmp_path / "d.npz", **dict(zip(names, blobs(), strict=True)))
    task = load(f"data:{tmp_path / 'd.npz'},epochs=1")
    assert (task.name, task.signature.input_shape, task.signature.outputs) == ("d", (1, 6), 3)


def test_npz_with_a_test_part(tmp_path: Path) -> None:
    x, y = blobs()
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x[:30] + 100, y_test=y[:30])
    splits = load(f"data:{tmp_path / 'mnist.npz'}").load()
    assert len(splits.test.labels) == 30
    assert len(splits.train.labels) + len(splits.valid.labels) == 120


def test_changed_content_changes_the_id(tmp_path: Path) -> None:
    x, y = blobs()
    np.savez(tmp_path / "d.npz", x=x, y=y)
    before = load(f"data:{tmp_path / 'd.npz'}").id
    x[5, 0] += 1
    np.savez(tmp_path / "d.npz", x=x, y=y)
    assert load(f"data:{tmp_path / 'd.npz'}").id != before


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch) -> None:
    write_idx_folder(tmp_path / "here")
    monkeypatch.chdir(tmp_path)
    task = load("data:here,epochs=2")
    assert task.ref == f"data:{tmp_path / 'here'},epochs=2"


def _nan() -> np.ndarray:
    x = blobs()[0]
    x[17, 2] = np.nan
    return x


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (blobs()[0], blobs()[1] + 0.5, "must be integers"),
        (blobs()[0], np.array(["cat"] * 120), "must be integers"),
        (blobs()[0], np.eye(3)[blobs()[1]], r"shape \[N\]"),
        (blobs()[0], blobs()[1][:-1], "as many inputs as labels"),
        (np.zeros((0, 4)), np.zeros(0), "as many inputs as labels"),
        (np.zeros(120), blobs()[1], "as many inputs as labels"),
        (np.zeros((120, 2, 2, 2, 2)), blobs()[1], r"got shape \(120, 2, 2, 2, 2\)"),
        (_nan(), blobs()[1], "1 examples hold NaN or infinity, the first is number 17"),
        (blobs()[0], np.zeros(120), "at least 2 classes"),
        (blobs()[0][:6], blobs()[1][:6], "too few examples: class 0 has 2"),
        (np.array([["a"] * 4] * 120), blobs()[1], "must be numbers"),
        ([[1, 2], [3]] * 60, blobs()[1], "cannot be read as an array"),
    ],
)
def test_bad_arrays_are_refused_in_one_sentence(inputs, labels, message) -> None:
    with pytest.raises(ConfigError, match=message):
        create_dataset_task(inputs, labels)


def test_bad_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no data at"):
        load_task(f"data:{tmp_path}/nothing")
    with pytest.raises(ConfigError, match="no idx files"):
        load_task(f"data:{tmp_path}")
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(ConfigError, match=r"expected a folder of idx files or an \.npz"):
        load_task(f"data:{tmp_path}/a.csv")
    (tmp_path / "a.npz").write_bytes(b"PK\3\4 not a zip")
    with pytest.raises(ConfigError, match="cannot read"):
        load_task(f"data:{tmp_path}/a.npz")
    np.savez(tmp_path / "b.npz", pictures=np.zeros(3))
    with pytest.raises(ConfigError, match="found pictures"):
        load_task(f"data:{tmp_path}/b.npz")
    np.savez(tmp_path / "c.npz", x=np.array([{"a": 1}], dtype=object), y=np.zeros(1))
    with pytest.raises(ConfigError, match="cannot read"):
        load_task(f"data:{tmp_path}/c.npz")


def test_damaged_idx_files_are_refused(tmp_path: Path) -> None:
    folder = write_idx_folder(tmp_path / "a", suffix=".gz")
    images = folder / "train-images-idx3-ubyte.gz"
    whole = images.read_bytes()
    images.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match="cannot read"):
        load_task(f"data:{folder}")
    images.write_bytes(gzip.compress(gzip.decompress(whole)[:-5]))
    with pytest.raises(ConfigError, match="damaged"):
        load_task(f"data:{folder}")
    images.write_bytes(gzip.compress(b"GIF89a"))
    with pytest.raises(ConfigError, match="not an idx file"):
        load_task(f"data:{folder}")
    images.unlink()
    with pytest.raises(ConfigError, match="expected train-images"):
        load_task(f"data:{folder}")


def test_unknown_test_labels_are_refused(tmp_path: Path) -> None:
    x, y = blobs()
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x, y_test=y + 1)
    with pytest.raises(ConfigError, match=r"labels that the training part lacks: \[3\]"):
        load_task(f"data:{tmp_path / 'd.npz'}")


def test_describe_names_sizes_recipe_and_limits() -> None:
    text = load("digits:epochs=3,params=5000").describe()
    assert "10 classes" in text
    assert "1,259 / 269 / 269" in text
    assert "3 epochs" in text
    assert "at most 5,000 parameters" in text
