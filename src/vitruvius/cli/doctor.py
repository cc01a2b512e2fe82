"""The doctor: what is installed, what is set and where, what works here.

Each check returns one finding and changes nothing.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitruvius.cli.console import Home, Json, print_json, print_table
from vitruvius.errors import VitruviusError

if TYPE_CHECKING:
    from vitruvius.settings import Resolved, Settings

LOW_DISK_GIB = 2.0
GIB = 2**30


def doctor(
    repair: Annotated[
        bool, typer.Option("--repair", help="Rebuild the index of principles from the ledger.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Check the installation: packages, settings and their source, model, disk, cores, ledger.

    Exits with 1 if something is wrong; each finding says what to do.
    """
    from vitruvius.settings import resolve

    resolved = resolve({"home": home})
    repaired = [rebuild_index(resolved.settings.home)] if repair else []
    findings = [*repaired, *all_checks(resolved)]
    settings = settings_rows(resolved)
    healthy = all(finding.ok for finding in findings)
    if as_json:
        print_json(
            {
                "healthy": healthy,
                "checks": [vars(finding) for finding in findings],
                "settings": [
                    {"name": name, "value": value, "source": source}
                    for name, value, source in settings
                ],
            }
        )
    else:
        print_table(
            ("", "check", "finding"),
            [("ok" if f.ok else "!!", f.name, f.text) for f in findings],
        )
        print()
        print_table(("setting", "value", "source"), settings)
    if not healthy:
        raise typer.Exit(1)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at; `text` says what was found and, if wrong, what to do."""

    name: str
    ok: bool
    text: str


def all_checks(resolved: Resolved) -> list[Finding]:
    """Returns every finding about this machine and these settings."""
    settings = resolved.settings
    return [
        _python(),
        _packages(),
        _variables(resolved),
        _cores(settings),
        _disk(settings.home),
        _write_access(settings.home),
        _ledger(settings.home),
        _index(settings.home),
        _device(),
        _model(settings),
    ]


def settings_rows(resolved: Resolved) -> list[tuple[str, str, str]]:
    """Returns name, value and source of every setting; a key is shown as set or not."""
    from vitruvius.settings import OF_THE_PROCESS, Settings

    settings = resolved.settings
    own = {name: getattr(settings, name) for name in OF_THE_PROCESS}
    values = settings.public() | own | {"api_key": "set" if settings.api_key else "not set"}
    return [(name, str(values[name]), resolved.sources[name]) for name in Settings.model_fields]


def rebuild_index(home: Path) -> Finding:
    """Rebuilds the index from the ledger, which is the truth."""
    from vitruvius.memory.index.principle_index import PrincipleIndex
    from vitruvius.memory.ledger.ledger import Ledger

    try:
        with Ledger.open(home) as ledger:
            index = PrincipleIndex(home, ledger)
            count = index.rebuild()
            index.close()
    except VitruviusError as error:
        return Finding(name="repair", ok=False, text=str(error))
    return Finding(name="repair", ok=True, text=f"the index holds {count} versions, all made anew")


def _python() -> Finding:
    ok = sys.version_info >= (3, 11)
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding(name="python", ok=ok, text=text if ok else f"{text}; 3.11 or newer is needed")


def _packages() -> Finding:
    missing, found = [], []
    try:
        wanted = requires("vitruvius") or []
    except PackageNotFoundError:
        text = "vitruvius runs from a checkout that is not installed; `make install` installs it"
        return Finding(name="packages", ok=True, text=text)
    for requirement in wanted:
        if "extra ==" in requirement:  # whether it is needed depends on the model: see `_model`
            continue
        name = requirement.split(";")[0].split("[")[0]
        name = "".join(c if c.isalnum() or c in "-_." else " " for c in name).split()[0]
        try:
            found.append(f"{name} {distribution(name).version}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding(
            name="packages", ok=False, text=f"missing: {', '.join(missing)}; run `make install`"
        )
    return Finding(name="packages", ok=True, text=f"vitruvius {version('vitruvius')}; "
                   + ", ".join(sorted(found)))  # fmt: skip


def _variables(resolved: Resolved) -> Finding:
    if resolved.unknown:
        names = ", ".join(resolved.unknown)
        return Finding(name="environment", ok=True, text=f"{names}: no setting of ours, not read")
    return Finding(name="environment", ok=True, text="every VITRUVIUS_* variable is a setting")


def _cores(settings: Settings) -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    text = (
        f"{settings.workers} trainings at once on {os.cpu_count()} cores; "
        f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB memory free"
    )
    return Finding(name="cores", ok=True, text=text)


def _existing(folder: Path) -> Path:
    # The home need not be there yet, and a look must not make it.
    return next(path for path in (folder, *folder.parents) if path.exists())


def _disk(home: Path) -> Finding:
    free = shutil.disk_usage(_existing(home)).free / GIB
    text = f"{free:.1f} GiB free for {home}"
    if free < LOW_DISK_GIB:
        return Finding(name="disk", ok=False, text=f"{text}; free some, or choose another --home")
    return Finding(name="disk", ok=True, text=text)


def _write_access(home: Path) -> Finding:
    folder = _existing(home)
    try:
        with tempfile.TemporaryFile(dir=folder):  # tried: rights alone do not say it
            return Finding(name="write access", ok=True, text=f"{folder} can be written")
    except OSError as error:
        text = f"{folder} cannot be written ({error.strerror}); choose another --home"
        return Finding(name="write access", ok=False, text=text)


def _ledger(home: Path) -> Finding:
    from vitruvius.memory.ledger.ledger import Ledger

    if not (home / "ledger.db").exists():
        return Finding(name="ledger", ok=True, text="none yet; the first run makes it")
    try:
        with Ledger.open(home) as ledger:
            text = (
                f"{len(ledger.runs.all())} runs, {len(ledger.principles.all_current())} principles"
            )
    except VitruviusError as error:
        return Finding(name="ledger", ok=False, text=str(error))
    return Finding(name="ledger", ok=True, text=text)


def _index(home: Path) -> Finding:
    from vitruvius.memory.index.principle_index import PrincipleIndex
    from vitruvius.memory.ledger.ledger import Ledger

    if not (home / "ledger.db").exists():
        return Finding(name="index", ok=True, text="none yet")
    try:
        with Ledger.open(home) as ledger:
            index = PrincipleIndex(home, ledger)
            missing = index.missing()
            index.close()
    except VitruviusError as error:
        return Finding(name="index", ok=False, text=f"{error}; see `vitruvius doctor --repair`")
    if missing:
        text = f"{len(missing)} principle versions differ from the ledger: `doctor --repair`"
        return Finding(name="index", ok=False, text=text)
    return Finding(name="index", ok=True, text="agrees with the ledger")


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
    else:
        name = "mps" if torch.backends.mps.is_available() else "cpu"
    return Finding(name="device", ok=True, text=f"torch {torch.__version__} trains on {name}")


def _model(settings: Settings) -> Finding:
    """Returns who decides, and what an endpoint's model was seen to do when asked."""
    from vitruvius.agents.model.resolving import at_hand, probe, resolve_model

    try:
        with at_hand(resolve_model(settings), settings) as chosen:
            if chosen.endpoint is None:
                return Finding(name="model", ok=True, text=f"{chosen.words} {_local_words()}")
            from vitruvius.agents.model.client import ModelClient

            seen = asyncio.run(probe(ModelClient(chosen.endpoint)))
    except VitruviusError as error:
        return Finding(name="model", ok=False, text=str(error))
    able = {"tools": seen.tools, "json_schema": seen.json_schema, "streaming": seen.streaming,
            "usage": seen.usage}  # fmt: skip
    words = ", ".join(f"{name} {'yes' if can else 'no'}" for name, can in able.items())
    text = f"{chosen.words} It can: {words}; decisions as {seen.mode}. {seen.note}"
    return Finding(name="model", ok=True, text=text)


def _local_words() -> str:
    """Returns whether a .gguf file could take the chairs, were one named."""
    try:
        found = f"xllamacpp {version('xllamacpp')} is there"
    except PackageNotFoundError:
        return "To run a .gguf file: pip install 'vitruvius[local]'."
    return f"A .gguf file can be served here ({found}): --model PATH."
