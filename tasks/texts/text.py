"""Tasks on text, what comes next and what is hidden, and the vocabulary of their tokens."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vitruvius.errors import ConfigError
from vitruvius.spaces.space import Signature
from vitruvius.tasks.metrics import METRICS
from vitruvius.tasks.task import (
    IGNORED,
    Constraints,
    Fidelity,
    Metric,
    Recipe,
    Split,
    Splits,
    recipe_parts,
    task_id,
)

Unit = Literal["char", "word"]

UNKNOWN = "<unknown>"
MASK = "<mask>"
_WORD = re.compile(r"\w+|([^\w\s])\1*")  # a ruled line is one mark

HELD_OUT = 0.1  # of the tokens for validation, and as much again for test
MASKED = 0.15  # of the tokens of a window (Devlin et al. 2019, arXiv:1810.04805, sec. 3.1)
MASK_SEED = 0  # the same tokens are hidden from every network, so that losses compare
LEAST_WINDOWS = 20  # so that each held-out part has two

LANGUAGE_RECIPE = Recipe(epochs=4, batch_size=32, learning_rate=0.01, gradient_norm=1.0)
MASKED_RECIPE = Recipe(epochs=10, batch_size=32, learning_rate=0.005, gradient_norm=1.0)
CONTEXT = 32
VOCABULARY = {"char": 128, "word": 2000}
TOKENS = 100_000  # so that a training takes seconds on one core


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


@dataclass(frozen=True, kw_only=True, eq=False)
class TextTask:
    """Modelling of a text, cut into windows of `context` tokens that do not overlap.

    The first 80 % of the tokens are learned, the next 10 % validate, the last 10 % test; the
    vocabulary is that of the first part. A language model names each window's next tokens, state
    does not pass from one window to the next. With `masked`, 15 % of the tokens of each window are
    replaced by one mask, the same ones always, and only these are asked.
    """

    name: str
    ref: str
    about: str
    text: str
    unit: Unit
    context: int
    vocabulary_size: int
    tokens: int  # at most so many, from the beginning
    masked: bool
    measure: str
    recipe: Recipe
    constraints: Constraints

    def __post_init__(self) -> None:
        smallest = 2 + self.masked
        if self.vocabulary_size < smallest:
            raise ConfigError(
                f"{self.name} needs a vocabulary of at least {smallest}, got {self.vocabulary_size}"
            )
        if self.context < 2:
            raise ConfigError(
                f"{self.name} needs a context of at least 2 tokens, got {self.context}"
            )
        found, least = len(self._tokens), LEAST_WINDOWS * (self.context + 1)
        if found < least:
            raise ConfigError(
                f"{self.name}: the text is too short: {found:,} tokens; windows of {self.context} "
                f"need at least {least:,}"
            )

    @cached_property
    def id(self) -> str:
        return task_id(
            self.name,
            self.constraints,
            data=hashlib.sha256("\0".join(self._tokens).encode()).hexdigest(),
            tokenisation=[self.unit, self.vocabulary_size],
            split=[self.context, HELD_OUT],
            masked=[MASKED, MASK_SEED] if self.masked else None,
            metric=self.measure,
            recipe=recipe_parts(self.recipe),
        )

    @property
    def metric(self) -> Metric:
        return METRICS[self.measure].metric

    @property
    def fidelity(self) -> Fidelity:
        return Fidelity(epochs=self.recipe.epochs)

    @property
    def is_noisy(self) -> bool:
        return True

    @property
    def signature(self) -> Signature:
        size = len(self.vocabulary)
        return Signature(
            input_shape=(self.context,),
            outputs=size,
            vocabulary=size,
            per_token=True,
            causal=not self.masked,
        )

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokens that have a number, of the training part."""
        train, _, _ = _blocks(self._tokens)
        return Vocabulary.of(train, self.vocabulary_size, masks=self.masked)

    def load(self) -> Splits:
        return self._splits

    @cached_property
    def _splits(self) -> Splits:
        rng = np.random.default_rng(MASK_SEED)
        cut = self._hidden if self.masked else self._following
        train, valid, test = (
            cut(self.vocabulary.encode(block), rng) for block in _blocks(self._tokens)
        )
        return Splits(train=train, valid=valid, test=test)

    @cached_property
    def _tokens(self) -> Sequence[str]:
        return tokenise(self.text, self.unit)[: self.tokens]

    def _following(self, tokens: NDArray[np.int64], rng: np.random.Generator) -> Split:
        """Returns windows with each token's successor as its label."""
        return Split(
            inputs=_windows(tokens[:-1], self.context), labels=_windows(tokens[1:], self.context)
        )

    def _hidden(self, tokens: NDArray[np.int64], rng: np.random.Generator) -> Split:
        """Returns windows in which tokens are masked, and as labels the tokens that were."""
        windows = _windows(tokens, self.context)
        count = max(1, round(MASKED * self.context))
        ranks = rng.random(windows.shape).argsort(axis=1).argsort(axis=1)
        hidden = ranks < count
        return Split(
            inputs=np.where(hidden, len(self.vocabulary) - 1, windows),
            labels=np.where(hidden, windows, IGNORED),
        )

    def describe(self) -> str:
        splits, unit = self.load(), {"char": "characters", "word": "words"}[self.unit]
        sizes = " / ".join(
            f"{part.labels.size:,}" for part in (splits.train, splits.valid, splits.test)
        )
        asked = (
            f"name the {MASKED:.0%} of the tokens that are masked" if self.masked
            else "name the next token"
        )  # fmt: skip
        clipped = self.recipe.gradient_norm
        return (
            f"{self.name}: {self.about}. Networks {asked}: windows of {self.context} {unit}, a "
            f"vocabulary of {len(self.vocabulary):,}, {sizes} tokens for training / validation / "
            f"test. Score: validation {self.measure.replace('_', ' ')} per asked token"
            f"{' in nats' if self.metric.unit else ''} after {self.recipe.epochs} epochs of AdamW "
            f"with a one-cycle rate (peak {self.recipe.learning_rate:g}, batches of "
            f"{self.recipe.batch_size} windows"
            f"{f', gradients of norm at most {clipped:g}' if clipped else ''}), lower is better."
            f"{self.constraints.words()}"
        )


def usual_unit(*, masked: bool) -> Unit:
    """Returns characters for masked tokens, words else.

    In seconds of training, some transformers were seen to leave the level of mere frequencies with
    masked characters; with 2,000 words the one that was tried did not (docs/text.md).
    """
    return "char" if masked else "word"


def create_text_task(
    text: str,
    *,
    name: str = "text",
    ref: str = "",
    about: str = "a text of the user's own",
    unit: Unit | None = None,
    context: int | None = None,
    vocabulary: int | None = None,
    tokens: int | None = None,
    masked: bool = False,
    measure: str = "cross_entropy",
    recipe: Recipe | None = None,
    constraints: Constraints | None = None,
) -> TextTask:
    """Returns the task of a text; what is not given is chosen so that trainings take seconds.

    Raises:
        ConfigError: if the text is too short, or context or vocabulary are.
    """
    unit = unit or usual_unit(masked=masked)
    return TextTask(
        name=name,
        ref=ref,
        about=about,
        text=text,
        unit=unit,
        context=context or CONTEXT,
        vocabulary_size=vocabulary or VOCABULARY[unit],
        tokens=tokens or TOKENS,
        masked=masked,
        measure=measure,
        recipe=recipe or (MASKED_RECIPE if masked else LANGUAGE_RECIPE),
        constraints=constraints or Constraints(),
    )


def _blocks(tokens: Sequence[str]) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    """Returns the parts for training, validation and test, in the order of the text."""
    held = round(HELD_OUT * len(tokens))
    first = len(tokens) - 2 * held
    return tokens[:first], tokens[first : first + held], tokens[first + held :]


def _windows(tokens: NDArray[np.int64], context: int) -> NDArray[np.int64]:
    """Returns the tokens as rows [N, context]; what does not fill the last row is left out."""
    count = len(tokens) // context
    return tokens[: count * context].reshape(count, context)
