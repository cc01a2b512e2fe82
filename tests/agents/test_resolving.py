import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from vitruvius.agents.chairs.create import create_chairs
from vitruvius.agents.model.client import ModelClient, Question
from vitruvius.agents.model.endpoint import DUMMY_KEY, Endpoint, create_model
from vitruvius.agents.model.resolving import probe, resolve_model
from vitruvius.agents.model.scripted_server import ScriptedServer, fail
from vitruvius.agents.model.tokens import Price, TokenCounter, price_of
from vitruvius.agents.model.transport import TransportFailed
from vitruvius.errors import ConfigError

KEY = "no-look-alike-1234567890"


def endpoint(url: str, **more: Any) -> Endpoint:
    return Endpoint(model="scripted", base_url=url, api_key=KEY, timeout_s=5, **more)


# Which model


def test_the_analyst_needs_nothing(wishes: Callable[..., Any], stub: Any) -> None:
    settings = wishes(model="analyst", base_url=None, api_key=None)
    assert resolve_model(settings).model is None
    assert create_chairs(settings, stub) == (stub, stub)


def test_auto_without_an_endpoint_is_the_analyst_and_says_so(wishes: Callable[..., Any]) -> None:
    resolved = resolve_model(wishes(model="auto", base_url=None, api_key=None))
    assert resolved.endpoint is None
    assert "analyst takes both chairs: no model endpoint is configured" in resolved.words


def test_auto_takes_the_model_that_is_served_and_says_so(
    chat_server: ScriptedServer, wishes: Callable[..., Any]
) -> None:
    resolved = resolve_model(wishes(model="auto"))
    assert resolved.model == "scripted"
    assert f"scripted at {chat_server.url}" in resolved.words
    chat_server.models = ("first", "second")
    resolved = resolve_model(wishes(model="auto"))
    assert resolved.model == "first"
    assert "first of 2" in resolved.words


def test_auto_spends_no_money_on_a_model_nobody_named(wishes: Callable[..., Any]) -> None:
    from vitruvius.agents.model.resolving import _choice

    far = Endpoint(model="auto", base_url="https://many.example/v1", api_key=KEY)
    assert _choice(far, ["a", "b"])[0] is None
    own = Endpoint(model="auto", base_url=None, api_key=KEY)
    assert _choice(own, ["dall-e-2", "gpt-5-mini"])[0] == "gpt-5-mini"
    assert _choice(own, ["dall-e-2"] * 2)[0] is None


def test_auto_with_a_dead_endpoint_is_the_analyst_and_says_why(
    wishes: Callable[..., Any],
) -> None:
    resolved = resolve_model(wishes(model="auto", base_url="http://127.0.0.1:9/v1"))
    assert resolved.endpoint is None
    assert "127.0.0.1:9/v1 cannot be reached" in resolved.words


def test_a_named_model_without_an_endpoint_is_a_mistake(wishes: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="'gpt-9' needs an endpoint"):
        resolve_model(wishes(model="gpt-9", base_url=None, api_key=None))


@pytest.mark.parametrize("url", ["localhost:8080", "/v1", "http://"])
def test_a_base_url_that_is_none_is_a_mistake(url: str, wishes: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="expected a base URL"):
        resolve_model(wishes(base_url=url))


@pytest.mark.parametrize(
    ("chairs", "told"),
    [
        ("both", "takes both chairs."),
        ("architect", "takes the architect's chair, the analyst the theorist's."),
        ("theorist", "takes the theorist's chair, the analyst the architect's."),
    ],
)
def test_the_words_say_which_chairs_the_model_takes(
    chairs: str, told: str, wishes: Callable[..., Any]
) -> None:
    assert resolve_model(wishes(model_chairs=chairs)).words.endswith(told)


def test_a_missing_key_becomes_a_dummy_beside_a_base_url(wishes: Callable[..., Any]) -> None:
    found = resolve_model(wishes(api_key=None)).endpoint
    assert found is not None
    assert found.api_key == DUMMY_KEY
    assert resolve_model(wishes(api_key=SecretStr("x"))).endpoint is not None


def test_the_key_is_not_in_what_is_printed(wishes: Callable[..., Any]) -> None:
    resolved = resolve_model(wishes(base_url=f"http://me:{KEY}@127.0.0.1:9/v1"))
    assert KEY not in resolved.words
    assert resolved.endpoint is not None
    assert KEY not in repr(resolved.endpoint).replace(f"me:{KEY}@", "")
    assert KEY not in resolved.endpoint.redact(f"sent {KEY} and sk-abcdef123456")


def test_limits_are_set_on_purpose() -> None:
    model = create_model(endpoint("http://127.0.0.1:9/v1"), streaming=True)
    assert (model.max_retries, model.stream_usage, model.use_responses_api) == (0, True, False)
    assert model.extra_body == {"max_tokens": 4096}
    own = Endpoint(model="gpt-5-mini", base_url=None, api_key=KEY)
    assert create_model(own).max_tokens == 4096


# What it can do


@pytest.mark.parametrize("mode", ["tools", "json_schema", "text"])
def test_the_probe_finds_the_mode(mode: Any) -> None:
    with ScriptedServer(mode).running() as server:
        found = asyncio.run(probe(ModelClient(endpoint(server.url))))
    assert found.mode == mode
    assert found.streaming
    assert found.usage


def test_the_probe_notes_what_a_server_refuses() -> None:
    with ScriptedServer("text", streams=False).running() as server:
        found = asyncio.run(probe(ModelClient(endpoint(server.url))))
    assert not found.streaming
    assert "streaming: " in found.note
    assert "HTTP 400" in found.note


def test_a_server_without_required_tools_is_asked_with_auto() -> None:
    with ScriptedServer().running() as server:
        probed = server._probed

        def picky(body: Any) -> Any:
            return (
                fail(400, "no required") if body.get("tool_choice") == "required" else probed(body)
            )

        server._probed = picky  # type: ignore[method-assign]
        found = asyncio.run(probe(ModelClient(endpoint(server.url))))
    assert (found.tools, found.tool_choice) == (True, "auto")


def test_the_probe_raises_where_there_is_no_server() -> None:
    client = ModelClient(endpoint("http://127.0.0.1:9/v1", retries=0))
    with pytest.raises(TransportFailed, match="cannot be reached"):
        asyncio.run(probe(client))


# What it costs


def test_prices_are_known_by_name_and_by_dated_name() -> None:
    assert price_of("gpt-4.1") == price_of("gpt-4.1-2025-04-14") == Price(input=2.0, output=8.0)
    assert price_of("my-model") is None


def test_the_users_prices_win(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(
        '["gpt-4.1"]\ninput = 9\noutput = 9\n[mine]\ninput = 0\noutput = 0\n'
    )
    assert price_of("gpt-4.1", tmp_path) == Price(input=9, output=9)
    assert price_of("mine", tmp_path) == Price(input=0, output=0)
    assert price_of("gpt-4o", tmp_path) is not None


@pytest.mark.parametrize("text", ["[m]\ninput = -1\noutput = 1", "[m]\ninput = 1", "nonsense"])
def test_a_broken_price_file_is_a_mistake(tmp_path: Path, text: str) -> None:
    (tmp_path / "prices.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"prices\.toml should hold"):
        price_of("m", tmp_path)


# Counting


def test_without_an_encoding_on_disk_tokens_are_estimated_and_no_network_is_touched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_network(*args: object, **more: object) -> None:
        raise AssertionError("network touched")

    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    counter = TokenCounter("gpt-4.1")
    assert counter.count("x" * 41) == 11


def test_a_wrong_file_in_the_cache_is_not_let_near_tiktoken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    wrong = tmp_path / "fb374d419588a4632f3f557e76b4b70aebbca790"
    wrong.write_bytes(b"not it")
    assert TokenCounter("gpt-4.1").count("x" * 41) == 11  # an estimate
    assert wrong.exists()


def test_estimates_follow_what_the_endpoint_reports() -> None:
    counter = TokenCounter("local")
    counter.learn(chars=3000, tokens=1000)
    assert counter.count("x" * 300) == 100


def test_importing_the_chairs_imports_no_langchain() -> None:
    code = (
        "import sys, vitruvius.agents.chairs.create, vitruvius.agents.model.resolving; "
        "heavy = {'langchain_core', 'langchain_openai', 'openai', 'tiktoken', 'torch'}; "
        "print(heavy & set(sys.modules))"
    )
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": source},
    )
    assert done.stdout.strip() == "set()"


def test_a_schema_does_not_count_as_prompt() -> None:
    question = Question(
        chair="theorist", step=1, system="s" * 40, user="u" * 40, schema={"type": "x" * 9000}
    )
    assert len(question.said) == 82
    assert question.text.startswith(question.said)
    assert "x" * 9000 in question.text
