"""Settings: flag, `VITRUVIUS_*`, `./vitruvius.toml`, the user's file, default; first one wins."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from vitruvius.budget import Budget, parse_budget
from vitruvius.errors import ConfigError

ModelChairs = Literal["both", "architect", "theorist"]  # the analyst takes the other

PREFIX = "VITRUVIUS_"
PROJECT_FILE = "vitruvius.toml"
DEFAULT = "default"
DEFAULT_BUDGET = "48 trials"
MOST_WORKERS = 4  # by default
OF_THE_PROCESS = ("api_key", "on_end", "tensorboard")  # never stored with a run
_OPENAI = {"base_url": ("OPENAI_API_BASE", "OPENAI_BASE_URL"), "api_key": ("OPENAI_API_KEY",)}
_CREDENTIALS = re.compile(r"//[^/@]*@")


def user_file() -> Path:
    """Returns the path of the user's own settings file, which need not exist."""
    return Path(platformdirs.user_config_path("vitruvius", appauthor=False)) / PROJECT_FILE


def _data_home() -> Path:
    return Path(platformdirs.user_data_path("vitruvius", appauthor=False))


def _workers() -> int:
    """One a core, at most 4: wide batches learn less from each result, and share one GPU."""
    if hasattr(os, "sched_getaffinity"):  # a container may own fewer cores than the machine has
        return min(MOST_WORKERS, len(os.sched_getaffinity(0)))
    return min(MOST_WORKERS, os.cpu_count() or 1)


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _absolute_or_none(path: Path | None) -> Path | None:
    return None if path is None else _absolute(path)


def _count_or_auto(value: Any) -> Any:
    return _workers() if value == "auto" else value


def _absolute_file(model: str) -> str:
    """Returns the name, a model file's as a whole path: a resume may come from another folder."""
    return str(_absolute(Path(model))) if model.endswith(".gguf") else model


def _readable_budget(text: str) -> str:
    parse_budget(text)
    return text


def _readable_price(text: str | None) -> str | None:
    limits = None if text is None else parse_budget(text)
    if limits is not None and (limits.trials, limits.train_s) != (None, None):
        raise ValueError("a price is time, tokens or dollars, like '10min, $1'")
    return text


def _names(value: Any) -> Any:
    """Returns the names in a text from a variable or a file; a list stays as it is."""
    if isinstance(value, str):
        return tuple(name for part in value.split(";") if (name := part.strip()))
    return value


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What the graph of a run reads of its settings; their defaults stand here.

    It is here because the graphs may import settings, and settings nothing of theirs. A study may
    give what `Settings` refuse, such as no uniform share.
    """

    explore: float = 0.15
    control: float = 0.0
    reflect_every: int = 8
    cut_loss: float = 0.05
    trust_to_cut: float = 0.5
    principles_from: tuple[str, ...] = ("memory",)
    ask_above: Budget | None = None  # None: every training and cut
    halving: bool = False


class Settings(BaseSettings):
    """Every setting, resolved. `load_settings` makes one; the names are the same at every door."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    home: Annotated[Path, AfterValidator(_absolute)] = Field(
        default_factory=_data_home, description="folder of ledger, index and run folders"
    )
    model: Annotated[str, AfterValidator(_absolute_file)] = Field(
        default="auto",
        min_length=1,
        description="who decides: analyst, a model that the endpoint serves, the path of a .gguf "
        "file, or auto (the endpoint if base_url or api_key is set, else the analyst)",
    )
    model_chairs: ModelChairs = Field(
        default="both",
        description="which chairs a model takes: both, architect (decides what to train) or "
        "theorist (writes the principles); the analyst takes the other",
    )
    base_url: str | None = Field(
        default=None, description="OpenAI-compatible endpoint, like http://127.0.0.1:8080/v1"
    )
    api_key: SecretStr | None = Field(
        default=None, description="key of the endpoint; never stored, logged or shown"
    )
    model_timeout_s: float = Field(
        default=120.0, gt=0, description="seconds that one call of a model may take"
    )
    prompt_tokens: int = Field(
        default=8_000, ge=1_000, description="most tokens in one prompt to a model"
    )
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="seed of every random choice")
    budget: Annotated[str, AfterValidator(_readable_budget)] = Field(
        default=DEFAULT_BUDGET, description="limits of a run, like '60 trials, 8h, 2M tokens, $5'"
    )
    workers: Annotated[int, BeforeValidator(_count_or_auto)] = Field(
        default_factory=_workers, ge=1, le=256, description="trainings at once, or auto"
    )
    deadline_s: float = Field(
        default=600.0, gt=0, description="seconds that one training may take before it is killed"
    )
    memory_mib: int = Field(
        default=8_192, ge=256, description="MiB that one training may use before it is killed"
    )
    explore: float = Field(
        default=Policy.explore,
        gt=0,
        le=1,
        description="share of trials drawn uniformly, outside cuts too",
    )
    control: float = Field(
        default=Policy.control,
        ge=0,
        le=0.5,
        description="share of trials spent on a random-search arm",
    )
    reflect_every: int = Field(
        default=Policy.reflect_every,
        ge=1,
        description="new results after which the principles are rewritten",
    )
    ask_above: Annotated[str | None, AfterValidator(_readable_price)] = Field(
        default=None,
        description="price above which a decision is asked about where somebody is asked, like "
        "'10min, $1'; without it every training and cut is",
    )
    cut_loss: float = Field(
        default=Policy.cut_loss,
        gt=0,
        le=0.5,
        description="a cut needs the upper 90 % bound of the share of the best 1 % that it "
        "removes below this",
    )
    trust_to_cut: float = Field(
        default=Policy.trust_to_cut,
        ge=0,
        le=1,
        description="trust from which a principle of earlier runs may make a provisional cut",
    )
    fidelity_first: str | None = Field(
        default=None,
        description="short trainings to begin with, like 12ep: a run of its own that guides this "
        "one and is paid by its budget",
    )
    halving: bool = Field(
        default=Policy.halving,
        description="stop a training after a ninth and a third of its epochs unless it is among "
        "the best third of this run there",
    )
    principles_from: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = Field(
        default=Policy.principles_from,
        min_length=1,
        description="what is recalled at the start: memory (all that fits), none, or runs, tables "
        "and files of rows, several with ; between",
    )
    on_end: str | None = Field(
        default=None,
        description="command that the shell runs when a run ends, with the path of its "
        "summary.json as $1; never stored, never read from a project's file",
    )
    on_end_s: float = Field(default=60.0, gt=0, description="seconds that on_end may take")
    tensorboard: Annotated[Path | None, AfterValidator(_absolute_or_none)] = Field(
        default=None, description="folder for TensorBoard's event files, one folder in it a run"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Takes values from the caller only: `load_settings` merges the layers, and tells them."""
        return (init_settings,)

    def policy(self) -> Policy:
        """Returns what the graph of a run reads."""
        return Policy(
            explore=self.explore,
            control=self.control,
            reflect_every=self.reflect_every,
            cut_loss=self.cut_loss,
            trust_to_cut=self.trust_to_cut,
            principles_from=self.principles_from,
            ask_above=None if self.ask_above is None else parse_budget(self.ask_above),
            halving=self.halving,
        )

    def public(self) -> dict[str, Any]:
        """Returns the settings as plain data for the ledger.

        They hold no key, no credentials in a URL, no command and nothing of this machine's own:
        a ledger may be another's.
        """
        data = self.model_dump(mode="json", exclude=set(OF_THE_PROCESS))
        if self.base_url is not None:
            data["base_url"] = _CREDENTIALS.sub("//", self.base_url)
        return data


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """Settings and where each value came from; `unknown` are `VITRUVIUS_*` that name no setting."""

    settings: Settings
    sources: Mapping[str, str]
    unknown: tuple[str, ...]


def load_settings(flags: Mapping[str, Any] | None = None) -> Settings:
    """Returns the settings as `resolve` finds them."""
    return resolve(flags).settings


def resolve(flags: Mapping[str, Any] | None = None) -> Resolved:
    """Returns the settings and the source of each.

    Args:
        flags: values given by hand, by name; None means not given.

    Raises:
        ConfigError: a value that a setting cannot take, a name in a file that is no setting, or a
            file that cannot be read; the sentence names the source.
    """
    values: dict[str, Any] = {}
    sources = dict.fromkeys(Settings.model_fields, DEFAULT)
    for name, value, source in _layers(flags or {}):
        if name not in Settings.model_fields:
            raise ConfigError(
                f"{source}: {name!r} is no setting; it has: {', '.join(Settings.model_fields)}"
            )
        if name not in values:  # the strongest source comes first
            values[name], sources[name] = value, source
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise ConfigError(_sentence(error, sources)) from None
    return Resolved(settings=settings, sources=sources, unknown=_unknown_variables())


def _layers(flags: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Yields name, value and source of every value given, the strongest source first."""
    for name, value in flags.items():
        if value is not None:
            yield name, value, "flag"
    # An empty variable is what a shell leaves of one that was taken back.
    for name, value in EnvSettingsSource(Settings, env_ignore_empty=True)().items():
        yield name, value, f"environment {PREFIX}{name.upper()}"
    for name, variables in _OPENAI.items():
        for variable in variables:
            if os.environ.get(variable):
                yield name, os.environ[variable], f"environment {variable}"
    for path, label in ((Path(PROJECT_FILE), f"./{PROJECT_FILE}"), (user_file(), str(user_file()))):
        for name, value in _read(path).items():
            if name == "api_key" and label.startswith("./"):
                raise ConfigError(
                    f"{label}: a key does not belong into a project's file; set "
                    f"{PREFIX}API_KEY, or put it into {user_file()}"
                )
            if name == "on_end" and label.startswith("./"):
                raise ConfigError(
                    f"{label}: a command does not belong into a project's file, which others may "
                    f"write; use --on-end or {PREFIX}ON_END, or put it into {user_file()}"
                )
            # Meant from where the file lies, not from where the command is given.
            if name == "home" and isinstance(value, str):
                value = path.parent.absolute() / Path(value).expanduser()
            yield name, value, label


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read the settings file {path}: {error}") from None


def _sentence(error: ValidationError, sources: Mapping[str, str]) -> str:
    """Returns the first problem in one sentence; a key's value is never repeated."""
    problem = error.errors(include_url=False)[0]
    name = str(problem["loc"][0])
    message = problem["msg"].removeprefix("Value error, ")
    is_told = name == "api_key" or repr(problem["input"]) in message
    came = "" if is_told else f", got {problem['input']!r}"
    return f"setting {name} from {sources[name]}: {message}{came}"


def _unknown_variables() -> tuple[str, ...]:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    return tuple(
        sorted(n for n in os.environ if n.upper().startswith(PREFIX) and n.upper() not in known)
    )
