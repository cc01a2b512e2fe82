"""All proxies by name, those that can be computed somewhere, and those worth showing.

To add one, write a `Formula` in the module of its kind and name it in that module's tuple; a new
module's tuple is named in `PROXIES`. `SHOWN` names the few that are shown unasked.
"""

from __future__ import annotations

from vitruvius.spaces.space import Builder, NetworkKind, SearchSpace, network_kind
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tasks.task import Task
from vitruvius.tools.proxies.activations import ACTIVATION_SCORES
from vitruvius.tools.proxies.attention import ATTENTION_SCORES
from vitruvius.tools.proxies.formula import Proxy
from vitruvius.tools.proxies.gradients import GRADIENT_SCORES, KERNEL_SCORES
from vitruvius.tools.proxies.hidden import HIDDEN_SCORES
from vitruvius.tools.proxies.jacobians import JACOBIAN_SCORES
from vitruvius.tools.proxies.without_data import FLOW_SCORES, SIZES

PROXIES: dict[str, Proxy] = {
    proxy.name: proxy
    for proxy in (
        *SIZES,
        *ACTIVATION_SCORES,
        *FLOW_SCORES,
        *GRADIENT_SCORES,
        *JACOBIAN_SCORES,
        *HIDDEN_SCORES,
        *ATTENTION_SCORES,
        *KERNEL_SCORES,
    )
}

SHOWN: dict[NetworkKind, tuple[str, ...]] = {
    "feed_forward": ("params", "flops", "naswot", "synflow", "grad_norm", "snip"),
    "recurrent": (
        "params",
        "hidden_covariance_1",
        "hidden_covariance_2",
        "hidden_covariance_3",
        "hidden_synaptic_saliency",
        "activation_distance",
        "more_noised_jacobian_cosine",
        "snip",
    ),
    "transformer": (
        "params",
        "flops",
        "depth",
        "activation_distance",
        "attention_confidence",
        "head_importance",
        "synaptic_diversity",
        "synflow",
    ),
}


def proxies_for(space: SearchSpace, task: Task) -> tuple[str, ...]:
    """Returns the few proxies that are worth showing for a space and a task.

    All others that `computable` names can be asked for by name.
    """
    known = computable(space, task)
    return tuple(name for name in SHOWN[network_kind(space)] if name in known)


def computable(space: SearchSpace, task: Task) -> tuple[str, ...]:
    """Returns the names of all proxies that can be computed for a space and a task.

    A table answers for the sizes that it records. Where its networks are known, scores without
    data can be computed; for networks of tokens also those that need inputs only, for which
    random tokens stand in (hidden covariance ranks networks on these as on text: Spearman 0.998).
    A single network may still lack what a score looks at; then its value is None, and a note
    says why.
    """
    if isinstance(task, TabularTask):
        known = tuple(name for name in ("params", "flops") if name in task.cost_names)
        if not isinstance(space, Builder) or task.signature is None:
            return known
        stands_in = task.signature.vocabulary is not None
        fitting = {n for n, p in PROXIES.items() if n in known or _needs_no_data(p, stands_in)}
    else:
        fitting = set(PROXIES) if isinstance(space, Builder) else set()
    kind = network_kind(space)
    return tuple(n for n, p in PROXIES.items() if n in fitting and kind in p.applies_to)


def _needs_no_data(proxy: Proxy, stands_in: bool) -> bool:
    return not proxy.needs_data or (stands_in and not getattr(proxy, "needs_labels", True))
