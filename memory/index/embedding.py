"""Text to vector without a model: hashed words, pairs of words and runs of four characters."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vitruvius.memory.records import PrincipleVersion
from vitruvius.spaces.rules import words

ENCODER = "hashed-ngrams-1"  # changes with anything below that changes a vector
DIMENSIONS = 1024
_WORD = re.compile(r"[a-z0-9]+")
_COMMON = re.compile("an?|and|are|as|at|be|by|for|in|is|it|not|o[fnr]|than|that|the|to|with")
_WORD_WEIGHT, _PAIR_WEIGHT, _RUN_WEIGHT = 1.0, 0.7, 0.35


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Returns unit vectors [N, DIMENSIONS], the same in every process.

    Example:
        >>> vectors = embed(["a wide stem helps", "wide stems help", "skip connections"])
        >>> bool(vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
        True
    """
    vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for vector, text in zip(vectors, texts, strict=True):
        for (gram, weight), count in Counter(_grams(text)).items():
            code = zlib.crc32(gram.encode())  # not hash(): that differs between processes
            sign = 1.0 if code & 0x80000000 else -1.0
            vector[code % DIMENSIONS] += sign * weight * np.sqrt(count)
        length = float(np.linalg.norm(vector))
        if length == 0.0:  # no grams, or all cancelled out: still a direction of its own
            vector[zlib.crc32(text.encode()) % DIMENSIONS] = length = 1.0
        vector /= length
    return vectors


def text_of(version: PrincipleVersion) -> str:
    """Returns the text that stands for a version in the index: its words and its rule's."""
    return f"{version.statement} {words(version.rule)}"


def _grams(text: str) -> Iterator[tuple[str, float]]:
    found = [word for word in _WORD.findall(text.lower()) if not _COMMON.fullmatch(word)]
    for word in found:
        yield word, _WORD_WEIGHT
    for first, second in pairwise(found):
        yield f"{first} {second}", _PAIR_WEIGHT
    for word in found:
        padded = f"^{word}$"
        for start in range(len(padded) - 3):
            yield f"#{padded[start : start + 4]}", _RUN_WEIGHT
