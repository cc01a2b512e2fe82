"""Tasks on text: windows, vocabulary, masks, ids, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from vitruvius.errors import ConfigError
from vitruvius.spaces.space import Signature
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import IGNORED, TrainableTask
from vitruvius.tasks.testing import TokenTaskContract
from vitruvius.tasks.texts.corpora import read_topics
from vitruvius.tasks.texts.text import (
    MASK,
    UNKNOWN,
    TextTask,
    Vocabulary,
    create_text_task,
    tokenise,
)

WORDS = [f"word{i % 37}" if i % 5 else f"rare{i}" for i in range(3000)]


def text_task(text: str = " ".join(WORDS), **options) -> TextTask:
    return create_text_task(text, **{"unit": "word", "context": 16, **options})


class TestLanguageModelOfTopics(TokenTaskContract):
    @pytest.fixture
    def task(self) -> TrainableTask:
        return load_task("topics")


class TestMaskedTopics(TokenTaskContract):
    @pytest.fixture
    def task(self) -> TrainableTask:
        return load_task("masked:topics,tokens=20000,context=16")


class TestFile(TokenTaskContract):
    @pytest.fixture
    def task(self, tmp_path: Path) -> TrainableTask:
        path = tmp_path / "my text.txt"
        numbers = np.random.default_rng(0).integers(0, 40, 3000)
        path.write_text(" ".join(f"word{n}" for n in numbers), encoding="utf-8")
        return load_task(f"text:{path},unit=char,context=32,metric=perplexity")


def test_labels_are_the_tokens_that_follow_and_parts_are_blocks_of_the_text() -> None:
    task = text_task(vocabulary=3000)
    numbers = task.vocabulary.encode(WORDS)
    start = 0
    for part, size in zip(vars(task.load()).values(), (2400, 300, 300), strict=True):
        count = (size - 1) // 16
        inputs, labels = part.inputs.ravel(), part.labels.ravel()
        assert len(inputs) == 16 * count
        np.testing.assert_array_equal(inputs, numbers[start : start + 16 * count])
        np.testing.assert_array_equal(labels, numbers[start + 1 : start + 1 + 16 * count])
        start += size


def test_the_vocabulary_is_of_the_training_part_only_most_frequent_first() -> None:
    tokens = ["a"] * 400 + ["b"] * 500 + ["c"] * 100
    task = text_task(" ".join(tokens), vocabulary=10)
    assert task.vocabulary.tokens == (UNKNOWN, "a", "b")
    assert set(task.load().test.inputs.ravel()) == {0}, "c is never learned"
    assert Vocabulary.of(["x", "z", "y", "z"], 3).tokens == (UNKNOWN, "z", "x")


def test_fifteen_percent_of_each_window_are_masked_and_only_these_are_asked() -> None:
    task, plain = text_task(masked=True), text_task()
    mask = len(task.vocabulary) - 1
    assert task.vocabulary.tokens[mask] == MASK
    windows, whole = task.load().train, plain.load().train
    hidden = windows.inputs == mask
    assert (hidden.sum(axis=1) == round(0.15 * 16)).all()
    np.testing.assert_array_equal(windows.labels != IGNORED, hidden)
    restored = np.where(hidden, windows.labels, windows.inputs)
    tokens = np.array(task.vocabulary.tokens)[restored].ravel()
    assert [t for t in tokens[:50] if t != UNKNOWN] == [
        t for t in WORDS[:50] if t in task.vocabulary.tokens
    ]
    assert len(np.unique(hidden, axis=0)) > 50, "windows are masked in different places"
    assert whole.labels.min() >= 0


def test_signatures_say_what_is_asked() -> None:
    model, masked = text_task(vocabulary=30), text_task(vocabulary=30, masked=True)
    assert model.signature == Signature(
        input_shape=(16,), outputs=30, vocabulary=30, per_token=True, causal=True
    )
    assert masked.signature == Signature(
        input_shape=(16,), outputs=30, vocabulary=30, per_token=True, causal=False
    )


def test_ids_differ_by_everything_that_changes_a_result() -> None:
    tasks = [
        text_task(),
        text_task(" ".join(WORDS[:-1])),
        text_task(unit="char"),
        text_task(context=8),
        text_task(vocabulary=50),
        text_task(tokens=2000),
        text_task(masked=True),
        text_task(measure="perplexity"),
    ]
    assert len({task.id for task in tasks}) == len(tasks)
    assert text_task().id == text_task(" ".join(WORDS) + "  \n").id, "the same tokens"


def test_a_task_without_a_reference_can_be_sent_to_a_worker() -> None:
    task = text_task()
    twin = pickle.loads(pickle.dumps(task))
    assert twin.id == task.id
    np.testing.assert_array_equal(twin.load().train.inputs, task.load().train.inputs)


def test_a_users_function_may_return_one(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from vitruvius.tasks.texts.text import create_text_task\n\n"
        "def songs():\n    return create_text_task('la le lu ' * 900, context=8)\n"
    )
    ref = f"{tmp_path / 'mine.py'}:songs"
    task = load_task(ref)
    assert (task.name, task.ref) == ("songs", ref)
    assert load_task(task.ref).id == task.id


def test_topics_hold_no_paragraph_twice() -> None:
    paragraphs = [" ".join(p.split()) for p in read_topics().split("\n\n")]
    assert len(paragraphs) > 1000
    assert len(set(paragraphs)) == len(paragraphs)


def test_words_are_lower_case_and_marks_stand_alone() -> None:
    assert tokenise("The Print()\n --- call.", "word") == [
        "the", "print", "(", ")", "---", "call", ".",
    ]  # fmt: skip
    assert tokenise("Ab\n", "char") == ["A", "b", "\n"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "holds no text"),
        (b" \n\n ", "holds no text"),
        (b"too short", r"the text is too short: . tokens; windows of 32 need at least 660"),
        (b"\x89PNG\r\n\xff\xfe" * 99, "is not UTF-8 text"),
        (b"abc\0def" * 99, "is not text: it holds zero bytes"),
    ],
)
def test_files_that_are_no_text_are_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "file").write_bytes(content)
    for name in ("text", "masked"):
        with pytest.raises(ConfigError, match=sentence):
            load_task(f"{name}:{tmp_path / 'file'}")


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        ("text", "text needs a path: text:PATH"),
        ("masked", "masked needs a path"),
        ("text:/nowhere/at all.txt", "cannot be read: No such file"),
        ("text:.", "is a folder; name one text file"),
        ("topics:unit=letter", "unit of topics must be one of char, word"),
        ("topics:contxt=3", "no option 'contxt'; did you mean 'context'"),
        ("topics:vocabulary=1", "a vocabulary of at least 2"),
        ("masked:topics,vocabulary=2", "a vocabulary of at least 3"),
        ("topics:context=1", "a context of at least 2"),
        ("topics:metric=accuracy", "metric of topics must be one of cross_entropy, perplexity"),
    ],
)
def test_wrong_references_are_refused_in_a_sentence(ref: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_task(ref)


def test_only_the_beginning_of_a_large_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_text("one two three four. " * 2000, encoding="utf-8")
    task = load_task(f"text:{path},tokens=1000")
    assert len(task.text) == 32 * 1000
    assert sum(part.labels.size for part in vars(task.load()).values()) < 1000
