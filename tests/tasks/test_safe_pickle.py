import bz2
import os
import pickle
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import pytest

from vitruvius.errors import ConfigError
from vitruvius.tasks.tables import safe_pickle
from vitruvius.tasks.tables.safe_pickle import read_packed_pickle


def packed(path: Path, data: bytes) -> Path:
    path.write_bytes(bz2.compress(data))
    return path


def stored(path: Path, thing: object, protocol: int = 4) -> Path:
    return packed(path, pickle.dumps(thing, protocol=protocol))


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_comes_back(tmp_path: Path, protocol: int) -> None:
    data = OrderedDict(a=[1, 2.5, "x", None, True], b={(1, "y"): (b"z",)})
    assert read_packed_pickle(stored(tmp_path / "a", data, max(protocol, 3))) == data


@pytest.mark.parametrize(
    "number", [np.float64(0.1), np.float32(2.5), np.int64(-7), np.uint8(200), np.bool_(True)]
)
def test_numbers_of_numpy_come_back_as_numbers(tmp_path: Path, number: np.generic) -> None:
    found = read_packed_pickle(stored(tmp_path / "a", {"n": number}))
    assert found == {"n": float(number)}
    swapped = number.dtype.newbyteorder(">").type(number)
    assert read_packed_pickle(stored(tmp_path / "b", swapped)) == float(number)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_would_run_a_program_is_refused(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "was-here"
    evil = {"meta_archs": [], "x": Calls(os.system, f"touch {mark}")}
    with pytest.raises(ConfigError, match=r"asks for (posix|nt)\.system") as refused:
        read_packed_pickle(stored(tmp_path / "evil", evil, protocol))
    assert "refused" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("thing", "named"),
    [
        (Calls(eval, "1/0"), "eval"),
        (Calls(getattr, [], "append"), "getattr"),
        (Counter("ab"), "collections.Counter"),
        (Calls(np.load, "x.npy"), "numpy"),
        (np.arange(3), "numpy"),
        (np.str_("text"), "numbers of type"),
        (Path("x"), "pathlib"),
    ],
)
def test_any_other_name_is_refused_by_name(tmp_path: Path, thing: object, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read_packed_pickle(stored(tmp_path / "a", thing))


def test_a_scalar_of_objects_is_refused(tmp_path: Path) -> None:
    code = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(VO8\nI00\nI01\ntRC\x08abcdefghtR."
    with pytest.raises(ConfigError, match="numbers of type 'O8'"):
        read_packed_pickle(packed(tmp_path / "a", code))
    code = b"cnumpy.core.multiarray\nscalar\n(ccollections\nOrderedDict\nC\x08abcdefghtR."
    with pytest.raises(ConfigError, match="a scalar that is no number"):
        read_packed_pickle(packed(tmp_path / "a", code))


def test_broken_files_are_refused_in_one_sentence(tmp_path: Path, monkeypatch) -> None:
    whole = stored(tmp_path / "whole", list(range(1000))).read_bytes()
    for name, data in (
        ("cut", whole[: len(whole) // 2]),
        ("text", b"not packed"),
        ("empty", bz2.compress(b"")),
        ("short", bz2.compress(pickle.dumps([1, 2])[:-1])),
        ("rubbish", bz2.compress(b"\x80\x04rubbish.")),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ConfigError, match=name):
            read_packed_pickle(tmp_path / name)
    with pytest.raises(ConfigError, match="No such file"):
        read_packed_pickle(tmp_path / "missing")
    monkeypatch.setattr(safe_pickle, "MAX_BYTES", 1000)
    with pytest.raises(ConfigError, match="more than 1,000 bytes"):
        read_packed_pickle(tmp_path / "whole")
