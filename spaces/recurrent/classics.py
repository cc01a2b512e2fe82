"""The three cells that people designed, as NAS-Bench-NLP writes them (ids 1000000 to 1000002).

The output gate of the published LSTM is a tanh, and its input gate and candidate have the
usual activations. The GRU reads an old state directly in a new one, which the sampler never does.
"""

from __future__ import annotations

from typing import Any

_BOTH = ["x", "h_prev_0"]


def _gate(name: str, activation: str) -> dict[str, dict[str, Any]]:
    return {
        name: {"op": "linear", "input": _BOTH},
        f"{name}_act": {"op": f"activation_{activation}", "input": [name]},
    }


RNN: dict[str, dict[str, Any]] = {
    "f": {"op": "linear", "input": _BOTH},
    "h_new_0": {"op": "activation_tanh", "input": ["f"]},
}
LSTM: dict[str, dict[str, Any]] = {
    **_gate("i", "tanh"),
    **_gate("j", "sigm"),
    **_gate("f", "sigm"),
    **_gate("o", "tanh"),
    "h_new_1_part1": {"op": "elementwise_prod", "input": ["f_act", "h_prev_1"]},
    "h_new_1_part2": {"op": "elementwise_prod", "input": ["i_act", "j_act"]},
    "h_new_1": {"op": "elementwise_sum", "input": ["h_new_1_part1", "h_new_1_part2"]},
    "h_new_1_act": {"op": "activation_tanh", "input": ["h_new_1"]},
    "h_new_0": {"op": "elementwise_prod", "input": ["h_new_1_act", "o_act"]},
}
GRU: dict[str, dict[str, Any]] = {
    **_gate("r", "sigm"),
    **_gate("z", "sigm"),
    "rh": {"op": "elementwise_prod", "input": ["r_act", "h_prev_0"]},
    "h_tilde": {"op": "linear", "input": ["x", "rh"]},
    "h_tilde_act": {"op": "activation_tanh", "input": ["h_tilde"]},
    "h_new_0": {"op": "blend", "input": ["z_act", "h_prev_0", "h_tilde_act"]},
}
CLASSICS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
