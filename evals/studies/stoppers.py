"""What stops a training early, told its loss after each epoch: our rule and Optuna's pruners."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from vitruvius.errors import ConfigError

if TYPE_CHECKING:
    import optuna


class Stopper(Protocol):
    """Told of one training at a time, from `begin` to `end`."""

    def begin(self) -> None: ...
    def stops(self, epoch: int, loss: float) -> bool:
        """Says whether the training ends after this epoch, less loss being better."""
        ...

    def end(self, loss: float | None) -> None:
        """Hears the last loss; None if it diverged or was stopped."""
        ...


class Never:
    """Trains to the end."""

    def begin(self) -> None:
        return

    def stops(self, epoch: int, loss: float) -> bool:
        return False

    def end(self, loss: float | None) -> None:
        return


@dataclass
class Rule:
    """Stops at a rung what is not among the best share of all trainings that came to it.

    The asynchronous rule of successive halving (Li et al. 2020, arXiv:1810.05934, section 3.2)
    without its promotion of earlier ones: nothing stopped is taken up again.
    """

    rungs: Sequence[int]
    keep: float
    seen: dict[int, list[float]] = field(default_factory=dict)

    def begin(self) -> None:
        return

    def stops(self, epoch: int, loss: float) -> bool:
        if epoch not in self.rungs:
            return False
        seen = self.seen.setdefault(epoch, [])
        seen.append(loss)
        better = sum(other < loss for other in seen)
        return better >= max(1.0, self.keep * len(seen))

    def end(self, loss: float | None) -> None:
        return


@dataclass
class Spared:
    """Lets one training go on to the end; others are compared with it all the same."""

    stopper: Stopper

    def begin(self) -> None:
        self.stopper.begin()

    def stops(self, epoch: int, loss: float) -> bool:
        self.stopper.stops(epoch, loss)
        return False

    def end(self, loss: float | None) -> None:
        self.stopper.end(loss)


def halving(rungs: Sequence[int], keep: float) -> Rule:
    """Returns our rule."""
    return Rule(rungs=rungs, keep=keep)


@dataclass
class Pruner:
    """A pruner of Optuna, its trials numbered as they begin."""

    study: optuna.Study
    trial: optuna.Trial | None = None
    pruned: bool = False

    def begin(self) -> None:
        self.trial, self.pruned = self.study.ask(), False

    def stops(self, epoch: int, loss: float) -> bool:
        assert self.trial is not None
        self.trial.report(loss, epoch)
        self.pruned = self.trial.should_prune()
        return self.pruned

    def end(self, loss: float | None) -> None:
        from optuna.trial import TrialState

        assert self.trial is not None
        if loss is not None:
            self.study.tell(self.trial, loss)
        else:
            self.study.tell(self.trial, state=TrialState.PRUNED if self.pruned else TrialState.FAIL)


def optuna_stopper(name: str, seed: int, epochs: int) -> Pruner:
    """Returns a pruner with its default settings, as far as it has any.

    Raises:
        ConfigError: if Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("this arm needs Optuna: pip install 'vitruvius[evals]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: dict[str, optuna.pruners.BasePruner] = {
            "halving": optuna.pruners.SuccessiveHalvingPruner(),
            "hyperband": optuna.pruners.HyperbandPruner(max_resource=epochs),
            "median": optuna.pruners.MedianPruner(),
        }
    return Pruner(optuna.create_study(direction="minimize", pruner=made[name]))
