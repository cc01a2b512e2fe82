"""Settings resolve in the promised order, and every setting is read from every source."""

import json
from pathlib import Path
from typing import Any

import pytest

from vitruvius import settings as module
from vitruvius.errors import ConfigError
from vitruvius.settings import Settings, load_settings, resolve

OTHER: dict[str, Any] = {
    "home": "/somewhere/else",
    "model": "gpt-oss",
    "model_chairs": "theorist",
    "base_url": "http://127.0.0.1:1/v1",
    "api_key": "sk-other",
    "model_timeout_s": 7.5,
    "prompt_tokens": 3000,
    "seed": 11,
    "budget": "5 trials",
    "workers": 3,
    "deadline_s": 12.0,
    "memory_mib": 700,
    "explore": 0.3,
    "control": 0.25,
    "reflect_every": 4,
    "ask_above": "10min, $1",
    "cut_loss": 0.02,
    "trust_to_cut": 0.9,
    "fidelity_first": "12ep",
    "halving": True,
    "principles_from": "261122-4f1a; table:rows.parquet,metric=c10",
    "on_end": "mail -s done me@example.org",
    "on_end_s": 5.0,
    "tensorboard": "/somewhere/board",
}


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, no variables, and the user's file at `user.toml`."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VITRUVIUS_{name.upper()}", raising=False)
    monkeypatch.setattr(module, "user_file", lambda: tmp_path / "user.toml")
    return tmp_path


def plain(settings: Settings, name: str) -> Any:
    value = getattr(settings, name)
    if name == "api_key":
        return value.get_secret_value()
    if name == "principles_from":
        return "; ".join(value)
    return str(value) if name in ("home", "tensorboard") else value


def toml(name: str) -> str:
    value = OTHER[name]
    return f'{name} = "{value}"\n' if isinstance(value, str) else f"{name} = {json.dumps(value)}\n"


def test_the_list_of_other_values_is_complete() -> None:
    assert set(OTHER) == set(Settings.model_fields)


@pytest.mark.parametrize("name", OTHER)
def test_every_setting_is_read_from_every_source(
    name: str, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare / "user.toml").write_text(toml(name))
    assert plain(load_settings(), name) == OTHER[name]
    (bare / "user.toml").unlink()
    if name not in ("api_key", "on_end"):
        (bare / "vitruvius.toml").write_text(toml(name))
        assert plain(load_settings(), name) == OTHER[name]
        (bare / "vitruvius.toml").unlink()
    with monkeypatch.context() as patch:
        patch.setenv(f"VITRUVIUS_{name.upper()}", str(OTHER[name]))
        assert plain(load_settings(), name) == OTHER[name]
    assert plain(load_settings({name: OTHER[name]}), name) == OTHER[name]
    if name != "api_key":
        assert plain(load_settings(), name) != OTHER[name]


def test_the_stronger_source_wins_and_is_named(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve().sources["seed"] == "default"
    (bare / "user.toml").write_text("seed = 1\n")
    assert (load_settings().seed, resolve().sources["seed"]) == (1, str(bare / "user.toml"))
    (bare / "vitruvius.toml").write_text("seed = 2\n")
    assert (load_settings().seed, resolve().sources["seed"]) == (2, "./vitruvius.toml")
    monkeypatch.setenv("VITRUVIUS_SEED", "3")
    assert (load_settings().seed, resolve().sources["seed"]) == (3, "environment VITRUVIUS_SEED")
    assert load_settings({"seed": 4}).seed == 4
    assert resolve({"seed": 4}).sources["seed"] == "flag"


def test_a_flag_wins_even_where_it_equals_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRUVIUS_EXPLORE", "0.4")
    assert load_settings({"explore": 0.15}).explore == 0.15


def test_a_flag_that_is_not_given_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRUVIUS_SEED", "3")
    assert load_settings({"seed": None}).seed == 3


def test_openai_variables_are_read_after_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://b/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    resolved = resolve()
    assert resolved.settings.base_url == "http://b/v1"
    assert resolved.sources["api_key"] == "environment OPENAI_API_KEY"
    monkeypatch.setenv("VITRUVIUS_BASE_URL", "http://a/v1")
    assert load_settings().base_url == "http://a/v1"


@pytest.mark.parametrize("file", ["vitruvius.toml", "user.toml"])
def test_an_unknown_name_in_a_file_is_an_error(file: str, bare: Path) -> None:
    (bare / file).write_text("modle = 'analyst'\n")
    with pytest.raises(ConfigError, match=r"'modle' is no setting; it has: home, model"):
        load_settings()


def test_an_unknown_variable_is_told() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRUVIUS_MODLE", "x")
        assert "VITRUVIUS_MODLE" in resolve().unknown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("explore", "0"),
        ("explore", "1.5"),
        ("control", "0.9"),
        ("workers", "0"),
        ("seed", "-1"),
        ("seed", "many"),
        ("budget", "60 apples"),
        ("deadline_s", "0"),
    ],
)
def test_a_bad_value_is_told_with_its_source(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"VITRUVIUS_{name.upper()}", value)
    with pytest.raises(ConfigError, match=f"setting {name} from environment VITRUVIUS_"):
        load_settings()


def test_a_file_that_is_no_toml_is_told(bare: Path) -> None:
    (bare / "vitruvius.toml").write_text("seed =\n")
    with pytest.raises(ConfigError, match=r"cannot read the settings file vitruvius\.toml"):
        load_settings()


def test_a_key_in_the_project_file_is_refused_without_being_repeated(bare: Path) -> None:
    (bare / "vitruvius.toml").write_text("api_key = 'sk-secret'\n")
    with pytest.raises(ConfigError, match="does not belong into a project's file") as caught:
        load_settings()
    assert "sk-secret" not in str(caught.value)


def test_a_key_is_never_shown_or_stored() -> None:
    settings = load_settings({"api_key": "sk-secret", "base_url": "http://me:sk-secret@host/v1"})
    assert "sk-secret" not in repr(settings.api_key)
    assert "sk-secret" not in str(settings.public())
    assert settings.public()["base_url"] == "http://host/v1"


def test_a_relative_home_in_a_file_is_relative_to_the_file(bare: Path) -> None:
    (bare / "vitruvius.toml").write_text("home = 'searches'\n")
    assert load_settings().home == bare / "searches"
