"""A real small model behind a real server: protocol and invariants, never its choices."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vitruvius.agents.chairs.architect import ModelArchitect
from vitruvius.agents.chairs.constraints import context_of
from vitruvius.agents.chairs.create import create_chairs
from vitruvius.agents.chairs.theorist import ModelTheorist
from vitruvius.agents.chairs.view import RunView
from vitruvius.agents.model.local import served
from vitruvius.agents.model.resolving import resolve_model
from vitruvius.evals.studies.small_model import Unavailable, fetch
from vitruvius.tools.calls.edits import check_edit
from vitruvius.tools.calls.train import Train

pytestmark = pytest.mark.llm


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    pytest.importorskip("xllamacpp", reason="the dev group holds it")
    try:
        path = fetch("smollm2-135m")
    except Unavailable as error:
        pytest.skip(str(error))
    with served(path, context=8192, threads=1) as address:
        yield address


@pytest.mark.timeout(600)
def test_decisions_and_edits_of_a_small_model_are_sound(
    url: str, wishes: Callable[..., Any], make_view: Callable[..., RunView], stub: Any
) -> None:
    settings = wishes(
        model="auto", base_url=url, api_key=None, model_timeout_s=120.0, prompt_tokens=1800
    )
    resolved = resolve_model(settings)
    assert resolved.model is not None
    architect, theorist = create_chairs(settings, stub, resolved)
    assert isinstance(architect, ModelArchitect)
    assert isinstance(theorist, ModelTheorist)
    view = make_view(12, k=1)  # one architecture: a small model writes 15 to 60 tokens a second
    decided = asyncio.run(architect.decide(view))
    rewritten = asyncio.run(theorist.rewrite(view))

    capabilities = architect.voice._capabilities
    assert capabilities is not None
    assert capabilities.mode == "json_schema", capabilities.note
    assert capabilities.streaming
    assert capabilities.usage

    assert decided.author in (resolved.model, "analyst")
    assert (decided.author == "analyst") == (len(decided.turned_down) == 3)
    checked = decided.decision.check(context_of(view))
    if isinstance(decided.decision, Train):
        assert not set(checked.architectures) & view.evaluated
    for edit in rewritten.edits:
        check_edit(edit, context_of(view))

    calls = [*decided.calls, *rewritten.calls]
    assert {call.chair for call in calls} == {"probe", "architect", "theorist"}
    for call in calls:
        if call.error is None:
            assert call.tokens_in > 0
            assert not call.tokens_estimated
            assert call.wall_s > 0
    # The grammar leaves nothing malformed but what the length cut off.
    for down in (*decided.turned_down, *rewritten.turned_down):
        assert down.status != "malformed" or "cut after" in down.problem
