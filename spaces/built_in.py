"""The built-in spaces, one entry each.

To add one, write its class (most are a `spaces.slots.SlotSpace`) and name it here: a reference, a
table whose rows are of it, the error that lists the spaces and `--help` find it by this entry.
Named by text, so that a list of names loads no space.
"""

import importlib
from typing import Any

DEFAULT = "nb201"

BUILT_IN = {  # arguments of the class, by name, are the options of a reference
    "nb201": "vitruvius.spaces.cells.cell:Cell",
    "transnas": "vitruvius.spaces.cells.transnas:TransNas",
    "macro": "vitruvius.spaces.macro:Macro",
    "recurrent": "vitruvius.spaces.recurrent.space:Recurrent",
    "flexibert": "vitruvius.spaces.transformers.space:FlexiBert",
    "flexibert_full": "vitruvius.spaces.transformers.space:FlexiBertFull",
    "flexibert_trained": "vitruvius.spaces.transformers.space:FlexiBertTrained",
}
# Made by a function of the whole reference, `name:PATH,...`; floors below know tables.
OF_A_FILE = {"table": "vitruvius.tasks.tables.references:load_table_space"}


def forms() -> tuple[str, ...]:
    """Returns how a reference can be written."""
    return (*BUILT_IN, *(f"{name}:PATH" for name in OF_A_FILE), "file.py:object")


def help_words() -> str:
    """Returns the forms of a reference for `--help`, the default marked."""
    told = [f"{form} (default)" if form == DEFAULT else form for form in forms()]
    return f"{', '.join(told[:-1])} or {told[-1]}"


def named(path: str) -> Any:
    """Returns the object that `module:name` names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
