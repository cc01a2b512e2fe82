"""The built-in tasks, one entry each.

To add one, write a function of (reference, `tasks.options.Options`, space or None) that returns the
task, beside the data that it loads, and name it here: references, the errors that list the tasks
and `--help` find it by this entry. Named by text, so that a list of names loads no data.
"""

from dataclasses import dataclass

DEFAULT = "mnist1d"


@dataclass(frozen=True, kw_only=True)
class BuiltIn:
    """A task by name: how a reference is written, and what makes the task."""

    form: str  # `digits`, `data:PATH`
    make: str  # `module:function`
    has_rate: bool = True  # whether it is trained, with a learning rate that a space may limit
    words: tuple[str, ...] = ()  # what may stand in place of a path, and is none
    note: str = ""  # for `--help`: what lies at the path

    @property
    def name(self) -> str:
        return self.form.partition(":")[0]


TASKS: dict[str, BuiltIn] = {
    task.name: task
    for task in (
        BuiltIn(form="mnist1d", make="vitruvius.tasks.data.bundled:load_mnist1d"),
        BuiltIn(form="digits", make="vitruvius.tasks.data.bundled:load_digits"),
        BuiltIn(form="topics", make="vitruvius.tasks.texts.corpora:load_text_task"),
        BuiltIn(form="text:PATH", make="vitruvius.tasks.texts.corpora:load_text_task"),
        BuiltIn(
            form="masked:PATH",
            make="vitruvius.tasks.texts.corpora:load_text_task",
            words=("topics",),
        ),
        BuiltIn(
            form="data:PATH",
            make="vitruvius.tasks.data.files:load_files",
            note="idx folder or .npz",
        ),
        BuiltIn(
            form="table:PATH,metric=NAME",
            make="vitruvius.tasks.tables.references:load_table_task",
            has_rate=False,
        ),
    )
}


def forms() -> tuple[str, ...]:
    """Returns how a reference can be written."""
    return (*(task.form for task in TASKS.values()), "file.py:object")


def help_words() -> str:
    """Returns the forms of a reference for `--help`, the default marked."""
    notes = {task.form: task.note for task in TASKS.values()} | {DEFAULT: "default"}
    told = [f"{form} ({notes[form]})" if notes.get(form) else form for form in forms()]
    return f"{', '.join(told[:-1])} or {told[-1]}"
