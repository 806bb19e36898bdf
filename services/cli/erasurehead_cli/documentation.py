"""docs/settings.md, from the settings tree."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from erasurehead.settings.sources import ENV_NESTING, ENV_PREFIX
from erasurehead.settings.tree import MasterSettings, RunSettings, WorkerSettings
from erasurehead_cli.options import Setting, settings_of

_HEAD = f"""# Settings

<!-- Written by `make docs` from common/erasurehead/settings/tree.py; do not edit. -->

One tree of settings, read from four places. The first that has a value wins:

1. the command line: `--rounds 50`, `--wire-dtype '<f4'`, `--no-share-store`;
2. the environment: `{ENV_PREFIX}ROUNDS=50`, `{ENV_PREFIX}WIRE{ENV_NESTING}DTYPE='<f4'`
   (two underscores between the levels);
3. a YAML file named with `--config`, nested as the dots in the names below;
4. the default.

Everything is checked together before a socket is opened. `erasurehead settings train STORE`,
`... master STORE` and `... worker` print the effective settings as YAML without running anything;
every run keeps them as `config.yaml` in its directory.
"""


def settings_markdown() -> str:
    """Return the page."""
    run = list(settings_of(RunSettings))
    known = {setting.path for setting in run}
    master = [setting for setting in settings_of(MasterSettings) if setting.path not in known]
    parts = [
        _HEAD,
        _part("`erasurehead train`, `compare` and `master`", run),
        _part("`erasurehead master` besides", master),
        _part("`erasurehead worker`", settings_of(WorkerSettings)),
    ]
    return "\n".join(parts)


def _part(title: str, settings: Iterable[Setting]) -> str:
    lines = [f"## {title}", ""]
    for group, members in groupby(settings, key=lambda setting: setting.group):
        lines += [f"### {group}", "", "| setting | values | default | what it is |"]
        lines.append("| --- | --- | --- | --- |")
        lines += [_row(setting) for setting in members]
        lines.append("")
    return "\n".join(lines)


def _row(setting: Setting) -> str:
    # Where the default is no value but a rule, the description ends in it.
    told, _, rule = (setting.field.description or "").partition(" [default: ")
    default = rule.rstrip("]") if setting.default is None else f"`{setting.default}`"
    if setting.field.is_required():
        default = "required"
    cells = [f"`{'.'.join(setting.path)}`", f"`{setting.values}`", default, told]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
