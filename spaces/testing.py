"""The tests that every search space must pass. Needs pytest.

from vitruvius.spaces.testing import SearchSpaceContract

class TestMySpace(SearchSpaceContract):
    @pytest.fixture
    def space(self):
        return my_space
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import cloudpickle
import numpy as np
import pytest

from vitruvius.errors import ToolError
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.rules import RangeCondition, Rule
from vitruvius.spaces.space import MAX_FEATURES, Architecture, Builder, SearchSpace, Signature

if TYPE_CHECKING:
    from torch import Tensor


class SearchSpaceContract:
    """Subclass it in a test module and give the fixture `space`."""

    draws: ClassVar[int] = 30
    signatures: ClassVar[tuple[Signature, ...]] = (  # for builders: with 5 outputs each
        Signature(input_shape=(1, 16), outputs=5),
        Signature(input_shape=(3, 8, 8), outputs=5),
    )

    @pytest.fixture
    def space(self) -> SearchSpace:
        """Returns the space under test."""
        raise NotImplementedError("give a fixture named space")

    @pytest.fixture
    def drawn(self, space: SearchSpace) -> list[Architecture]:
        """Returns draws of the space's sampler."""
        rng = np.random.default_rng(0)
        return [space.sample(rng) for _ in range(self.draws)]

    def test_id_is_the_name_and_a_hash(self, space: SearchSpace) -> None:
        assert space.id.startswith(f"{space.name}-")
        assert len(space.id) == len(space.name) + 9
        assert isinstance(space.ref, str)

    def test_a_pickled_space_is_the_same(self, space: SearchSpace) -> None:
        twin = cloudpickle.loads(cloudpickle.dumps(space))
        assert twin.id == space.id
        assert twin.features == space.features
        assert isinstance(hash(twin), int)

    def test_features_are_few_and_have_different_names(self, space: SearchSpace) -> None:
        names = [feature.name for feature in space.features]
        assert 0 < len(names) <= MAX_FEATURES
        assert len(set(names)) == len(names)

    def test_description_names_everything(self, space: SearchSpace) -> None:
        text = space.describe()
        for slot in space.slots:
            assert slot.name in text
            for choice in slot.names:
                assert choice in text
        for feature in space.features:
            assert feature.choice is not None or feature.name in text

    def test_sampler_depends_on_its_generator_only(self, space: SearchSpace) -> None:
        draws = [
            [space.sample(rng) for _ in range(5)] for rng in map(np.random.default_rng, (7, 7))
        ]
        assert draws[0] == draws[1]

    def test_draws_are_canonical_and_legal(
        self, space: SearchSpace, drawn: list[Architecture]
    ) -> None:
        for architecture in drawn:
            self.check_canonical(space, architecture)

    def test_text_is_canonical_json(self, drawn: list[Architecture]) -> None:
        for architecture in drawn:
            assert Architecture.of(json.loads(architecture.text)) == architecture

    def test_mutants_differ_and_are_canonical(
        self, space: SearchSpace, drawn: list[Architecture]
    ) -> None:
        rng = np.random.default_rng(1)
        for architecture in drawn:
            mutant = space.mutate(architecture, rng)
            assert mutant != architecture
            self.check_canonical(space, mutant)

    def test_neighbours_are_distinct_canonical_others_in_a_fixed_order(
        self, space: SearchSpace, drawn: list[Architecture]
    ) -> None:
        for architecture in drawn[:5]:
            near = space.neighbours(architecture)
            assert near
            assert architecture not in near
            assert len(set(near)) == len(near)
            assert near == space.neighbours(architecture)
            for neighbour in near:
                self.check_canonical(space, neighbour)

    def test_nonsense_is_refused_with_a_sentence(self, space: SearchSpace) -> None:
        nonsense: list[Any] = [None, 7, "nonsense", [], {"no such part": 1}, {}, [[]], {"a": {}}]
        for spec in nonsense:
            with pytest.raises(ToolError, match=r"\w+\W+\w+"):
                space.parse(spec)

    def test_feature_matrix_fits_the_features(
        self, space: SearchSpace, drawn: list[Architecture]
    ) -> None:
        matrix = space.featurise(drawn)
        assert matrix.shape == (len(drawn), len(space.features))
        assert matrix.dtype == np.float64
        assert np.isfinite(matrix).all()
        for feature, column in zip(space.features, matrix.T, strict=True):
            if feature.kind == "bool":
                assert set(column) <= {0.0, 1.0}, feature.name
            if feature.kind == "share":
                assert (column >= 0).all(), feature.name
                assert (column <= 1).all(), feature.name

    def test_features_do_not_depend_on_company(
        self, space: SearchSpace, drawn: list[Architecture]
    ) -> None:
        matrix = space.featurise(drawn)
        for row, architecture in zip(matrix, drawn, strict=True):
            np.testing.assert_array_equal(space.featurise([architecture])[0], row)
        assert space.featurise([]).shape == (0, len(space.features))

    def test_slots_are_features(self, space: SearchSpace, drawn: list[Architecture]) -> None:
        matrix = space.featurise(drawn)
        columns = {(f.slot, f.choice): i for i, f in enumerate(space.features) if f.slot}
        for slot in space.slots:
            for row, architecture in zip(matrix, drawn, strict=True):
                held = architecture.spec[slot.name]
                assert held in slot.names
                if (slot.name, None) in columns:
                    value = slot.choices[slot.names.index(held)].value
                    assert row[columns[slot.name, None]] == value
                else:
                    bools = {name: row[columns[slot.name, name]] for name in slot.names}
                    assert bools == {name: float(name == held) for name in slot.names}

    def test_members_are_all_there_is(self, space: SearchSpace, drawn: list[Architecture]) -> None:
        members = space.members()
        if members is None:
            return
        assert len(set(members)) == len(members)
        assert set(drawn) <= set(members)
        for architecture in members[:: max(1, len(members) // self.draws)]:
            self.check_canonical(space, architecture)

    def test_drawing_is_text(self, space: SearchSpace, drawn: list[Architecture]) -> None:
        assert all(space.draw(architecture).strip() for architecture in drawn)

    def test_a_region_samples_inside_its_cuts(self, space: SearchSpace) -> None:
        rng = np.random.default_rng(2)
        for feature in space.features:
            rule = Rule(stance="avoid", all=(RangeCondition(feature=feature.name, at_least=1),))
            cut = Cut(number=1, rule=rule, principle="P1.1", reason="test")
            try:
                region = Region(space).with_cut(cut)
            except ToolError:
                continue  # too little would be left
            assert all(region.contains(region.sample(rng)) for _ in range(3)), feature.name
            assert region.without(1) == Region(space)

    def test_networks_fit_the_task_and_follow_the_seed(
        self, space: SearchSpace, drawn: list[Architecture]
    ) -> None:
        if not isinstance(space, Builder):
            return
        import torch

        def output(architecture: Architecture, signature: Signature) -> Tensor:
            torch.manual_seed(3)
            network = space.build(architecture, signature)
            lazy = [p for p in network.parameters() if torch.nn.parameter.is_lazy(p)]
            assert not lazy, "lazy layers have no size before the first batch; give them one"
            result: Tensor = network(example(signature))
            return result

        def example(signature: Signature) -> Tensor:
            shape = (2, *signature.input_shape)
            if signature.vocabulary is None:
                return torch.randn(shape)
            return torch.randint(signature.vocabulary, shape)

        for signature in self.signatures:
            tokens = signature.input_shape[:1] if signature.per_token else ()
            for architecture in drawn[:5]:
                result = output(architecture, signature)
                assert result.shape == (2, *tokens, signature.outputs)
                assert torch.isfinite(result).all()
                assert torch.equal(result, output(architecture, signature))

    def check_canonical(self, space: SearchSpace, architecture: Architecture) -> None:
        """Checks that an architecture stands for itself and is what its data says."""
        assert space.canonical(architecture) == architecture
        assert space.parse(architecture.spec) == architecture
        assert space.parse(json.loads(architecture.text)) == architecture
