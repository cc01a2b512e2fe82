"""Text and scope to principles: an index beside the ledger, thrown away and rebuilt at will."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vitruvius.errors import VitruviusError
from vitruvius.memory.index.chroma_store import ChromaStore, store_faults
from vitruvius.memory.index.embedding import embed
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import PrincipleVersion
from vitruvius.spaces.rules import Condition, Rule, SlotCondition

FOLDER = "index"
OTHER_SPACE = 0.5  # weight of a principle learned in another family of spaces
_CANDIDATES = 50  # at least this many are ranked, so that scope can outweigh words
T = TypeVar("T")
_log = logging.getLogger(__name__)


class PrincipleIndex:
    """Finds principles by text, space and features.

    The vectors lie in the ledger too. The process that holds the index's lock searches in Chroma;
    any other one, and any one where Chroma fails, searches the ledger's vectors and finds the
    same principles with the same similarities. Written after the ledger's commit: what a kill
    left out is added by the next holder.
    """

    def __init__(self, home: Path | None, ledger: Ledger) -> None:
        """Opens nothing yet. Without a home, only the ledger's vectors are searched."""
        self._ledger = ledger
        self._store = None if home is None else ChromaStore(home / FOLDER)
        self._turn = Lock()
        self._has_failed = False

    def add(self, versions: Sequence[PrincipleVersion]) -> None:
        """Adds versions that are in the ledger; again changes nothing. Never raises for Chroma."""

        def write(store: ChromaStore) -> None:
            _write(store, self._ledger, {version.name for version in versions})
            self._catch_up(store)

        if versions:
            self._with_store(write)

    def search(
        self, text: str, space_name: str, features: AbstractSet[str], n: int
    ) -> list[tuple[str, float]]:
        """Returns up to `n` current versions of all runs with their similarity in [0, 1].

        Similarity is the share of the rule whose slots, choices and features are among `features`,
        times `OTHER_SPACE` unless the principle is of this space, times a half to one by the
        cosine of the texts. Principles whose rule shares nothing with `features` are left out.
        """
        current = {version.name: version for version in self._ledger.principles.all_current()}
        query = embed([text])[0]

        def near(store: ChromaStore) -> set[str] | None:
            self._catch_up(store)
            return _candidates(store, query, space_name, set(current), max(_CANDIDATES, 10 * n))

        names = self._with_store(near)
        found = current.keys() if names is None else current.keys() & names
        return self.rank([current[name] for name in found], text, space_name, features)[:n]

    def rank(
        self,
        versions: Sequence[PrincipleVersion],
        text: str,
        space_name: str,
        features: AbstractSet[str],
    ) -> list[tuple[str, float]]:
        """Returns the given versions with their similarity, as `search` does for all of them."""
        query = embed([text])[0]
        known = {version.name: version for version in versions}
        vectors = self._ledger.principles.vectors(known)
        ranked = []
        for name, vector in vectors.items():
            version = known[name]
            scope = 1.0 if version.space_name == space_name else OTHER_SPACE
            cosine = max(0.0, float(vector @ query))
            similarity = scope * overlap(version.rule, features) * (0.5 + 0.5 * min(1.0, cosine))
            if similarity > 0.0:
                ranked.append((name, round(similarity, 6)))
        return sorted(ranked, key=lambda pair: (-pair[1], known[pair[0]].principle))

    def missing(self) -> list[str]:
        """Returns the versions that the index lacks, or holds though the ledger does not.

        Raises:
            VitruviusError: where another process holds the index, or it cannot be read.
        """
        if self._store is None:
            return []
        known = set(self._ledger.principles.vectors())
        with self._turn:
            self._must_hold(self._store)
            try:
                held = self._store.names()
            except store_faults() as error:
                raise VitruviusError(f"the principle index cannot be read: {error}") from error
        return sorted(known ^ held)

    def rebuild(self) -> int:
        """Makes the index anew from the ledger; returns how many versions it holds.

        Raises:
            VitruviusError: where another process holds the index, or it cannot be written.
        """
        if self._store is None:
            return 0
        names = set(self._ledger.principles.vectors())
        with self._turn:
            self._must_hold(self._store)
            try:
                self._store.wipe()
                _write(self._store, self._ledger, names)
                count = self._store.count()
            except store_faults() as error:
                raise VitruviusError(f"the principle index cannot be written: {error}") from error
            self._has_failed = False
            return count

    def close(self) -> None:
        """Lets go of the index, so that another process may hold it."""
        with self._turn:
            if self._store is not None:
                self._store.close()

    def _must_hold(self, store: ChromaStore) -> None:
        try:
            is_mine = store.acquire()
        except OSError as error:
            raise VitruviusError(f"the principle index cannot be written: {error}") from error
        if not is_mine:
            raise VitruviusError(
                "another process holds the principle index: try again when it has ended"
            )

    def _with_store(self, use: Callable[[ChromaStore], T]) -> T | None:
        """Returns what `use` makes of Chroma, or None where the ledger's vectors must do."""
        if self._store is None or self._has_failed:
            return None
        with self._turn:
            try:
                return use(self._store) if self._store.acquire() else None
            except store_faults() as error:
                self._has_failed = True
                _log.warning(
                    "the principle index failed (%s); the ledger's vectors are searched instead; "
                    "`vitruvius doctor --repair` makes it anew",
                    error,
                )
                return None

    def _catch_up(self, store: ChromaStore) -> None:
        """Adds what other processes wrote, or a kill left out; drops what the ledger lacks."""
        if store.count() == self._ledger.principles.count_versions():
            return
        known, held = set(self._ledger.principles.vectors()), store.names()
        _write(store, self._ledger, known - held)
        if held - known:
            store.delete(sorted(held - known))


def overlap(rule: Rule, features: AbstractSet[str]) -> float:
    """Returns the share of a rule, in [0, 1], that speaks of these features."""
    return sum(_known(condition, features) for condition in rule.all) / len(rule.all)


def _known(condition: Condition, features: AbstractSet[str]) -> float:
    if not isinstance(condition, SlotCondition):
        return float(condition.feature in features)
    if condition.slot in features:
        return 1.0
    names = [f"{condition.slot}={choice}" for choice in condition.choices]
    return sum(name in features for name in names) / len(names)


def _write(store: ChromaStore, ledger: Ledger, names: set[str]) -> None:
    if names:
        spaces = {name: ledger.principles.version(name).space_name for name in names}
        store.upsert(ledger.principles.vectors(names), spaces)


def _candidates(
    store: ChromaStore,
    query: NDArray[np.float32],
    space_name: str,
    current: set[str],
    wanted: int,
) -> set[str] | None:
    """Returns current versions near the query, from this space and from all.

    None stands for all: Chroma's search is approximate and may come back short.
    """
    found: set[str] = set()
    for scope in (space_name, None):
        reach = wanted
        while True:
            names = store.nearest(query, reach, scope)
            hits = current.intersection(names)
            if len(hits) >= wanted or len(names) < reach:
                break
            reach *= 2
        found |= hits
    return found if len(found) >= min(wanted, len(current)) else None
