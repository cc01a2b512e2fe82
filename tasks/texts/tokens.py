"""From text to numbers: characters or words, and the vocabulary of a training part."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Unit = Literal["char", "word"]

UNKNOWN = "<unknown>"
MASK = "<mask>"
_WORD = re.compile(r"\w+|([^\w\s])\1*")  # a ruled line is one mark


def tokenise(text: str, unit: Unit) -> list[str]:
    """Returns the characters of a text, or its words and marks in lower case, without white space.

    The same mark several times in a row is one token.

    Example:
        >>> tokenise("In a_list == 1.5", "word")
        ['in', 'a_list', '==', '1', '.', '5']
        >>> tokenise("a b", "char")
        ['a', ' ', 'b']
    """
    return list(text) if unit == "char" else [m[0] for m in _WORD.finditer(text.lower())]


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The tokens that have a number of their own; 0 stands for every other token."""

    tokens: tuple[str, ...]

    @classmethod
    def of(cls, learned: Sequence[str], size: int, *, masks: bool = False) -> Vocabulary:
        """Returns the most frequent tokens of a training part, at most `size` numbers in all.

        Among equally frequent ones the first in alphabetical order stays. With `masks`, the last
        number is that of a token that stands for a hidden one.
        """
        special = 1 + masks
        counted = sorted(Counter(learned).items(), key=lambda item: (-item[1], item[0]))
        kept = (token for token, _ in counted[: size - special])
        return cls(tokens=(UNKNOWN, *kept, *((MASK,) if masks else ())))

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}

    def encode(self, tokens: Sequence[str]) -> NDArray[np.int64]:
        """Returns the numbers of tokens.

        Example:
            >>> Vocabulary.of(["a", "b", "b"], 10).encode(["b", "c", "a"])
            array([1, 0, 2])
        """
        return np.array([self._numbers.get(token, 0) for token in tokens], dtype=np.int64)
