"""A scripted model that answers legally by the schema that it was sent, and its bad day."""

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from vitruvius.agents.model.scripted_server import Answer, Body, call, fail, say

# Every third answer is one of these.
FAULTS = (
    say(""),
    fail(429, headers={"Retry-After": "0"}),
    call("train", '{"architectures": [{"wid'),
    call("fly", {"to": "moon"}),
    call("train", {"reason": "why not", "architectures": [{"width": "green"}]}),
    fail(500, "Failed to parse tool call arguments as JSON", headers={"Retry-After": "0"}),
    say("I would train a wide network."),
    call("train", '{"architectures": [', finish="length"),
    fail(500, headers={"Retry-After": "0"}),
    Answer(raw="<html>proxy</html>"),
)


def able_model(faults: tuple[Answer, ...] = ()) -> Callable[[Body], Answer]:
    """Answers legally by the schema of the tools it was sent, and sometimes with a fault."""
    rng, asked, failed = np.random.default_rng(3), count(1), count()

    def drawn(schema: dict[str, Any]) -> dict[str, str]:
        return {name: rng.choice(part["enum"]) for name, part in schema["properties"].items()}

    def answer(body: Body) -> Answer:
        if next(asked) % 3 == 0 and faults:
            return faults[next(failed) % len(faults)]
        tools = {t["function"]["name"]: t["function"]["parameters"] for t in body["tools"]}
        if "rewrite" in tools:
            rule = {"stance": "require", "all": [{"slot": "activation", "choices": ["relu"]}]}
            edit = {"edit": "add", "rationale": "seen", "statement": "Use relu.", "rule": rule}
            return call("rewrite", {"edits": [edit]})
        one = tools["train"]["properties"]["architectures"]["items"]
        specs = [drawn(one) for _ in range(2)]
        most = tools["train"]["properties"]["architectures"]["maxItems"]
        return call("train", {"reason": "try", "architectures": specs[:most]})

    return answer
