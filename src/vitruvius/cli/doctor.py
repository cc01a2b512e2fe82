"""The doctor: what is installed, what is set and where, what works here."""

from __future__ import annotations

from typing import Annotated

import typer

from vitruvius.cli.console import Home, Json, print_json, print_table


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
    from vitruvius.cli import checks
    from vitruvius.settings import resolve

    resolved = resolve({"home": home})
    repaired = [checks.rebuild_index(resolved.settings.home)] if repair else []
    findings = [*repaired, *checks.all_checks(resolved)]
    settings = checks.settings_rows(resolved)
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
