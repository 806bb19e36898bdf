"""docs/settings.md, from the settings tree."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from erasurehead.coding import CODES
from erasurehead.decoding import DECODERS
from erasurehead.estimating import ESTIMATES
from erasurehead.registry import Registry
from erasurehead.settings.leaves import Setting, key, settings_of
from erasurehead.settings.tree import MasterSettings, RunSettings, SlurmSettings, WorkerSettings
from erasurehead.stopping import STOPS

_HEAD = """# Settings

<!-- Written by `make docs` from common/erasurehead/settings; do not edit. -->

One tree of settings, read from four places. The first that has a value wins:

1. the command line: `--rounds 50`, `--wire-dense-share 0.5`, `--no-share-store`;
2. the environment: `ERASUREHEAD_ROUNDS=50`, `ERASUREHEAD_WIRE__DENSE_SHARE=0.5` (the option's words
   in capitals, with two underscores where a file has a dot);
3. a YAML file named with `--config`, nested as the dots in the names below;
4. the default.

The first five groups choose what is learnt and how. Their settings have short options and variables
without the name of the group; a file and Python name it: `descent: {rounds: 50}`.

The command checks everything together before it opens a socket. `erasurehead settings train STORE`,
`... master STORE`, `... slurm STORE` and `... worker` print the effective settings as YAML without
running anything; every run keeps them as `config.yaml` in its directory.

It still takes spellings of older versions, with a warning that names the new one: `rounds` and the
like at the root of a file, `objective` (now `model`), `wire.dtype: <f4` (now `wire.format: f4`),
and `membership.elastic`, `membership.rebuild_after_s` and `membership.regroup_after_rounds` (now in
`refit`).
"""


_PARTS = """## Parts of a scheme

`--scheme` takes a paper's scheme with its options, or its parts: `code / decoder / stop rule /
estimate`. A part that is left out is the one that suits the code, `exact` and `sum`. Here are the
names with the options that must be given; docs/codes.md tells what each is and which more it has.

| part | names |
| --- | --- |"""


def settings_markdown() -> str:
    """Return the page."""
    run = list(settings_of(RunSettings))
    known = {setting.path for setting in run}
    master, slurm = (
        [setting for setting in settings_of(cls) if setting.path not in known]
        for cls in (MasterSettings, SlurmSettings)
    )
    parts = [
        _HEAD,
        _part("`erasurehead train`, `compare`, `master` and `slurm`", run),
        _part("`erasurehead master` besides", master),
        _part("`erasurehead slurm` besides", slurm),
        _part("`erasurehead worker`", settings_of(WorkerSettings)),
        _scheme_parts(),
    ]
    return "\n".join(parts)


def _part(title: str, settings: Iterable[Setting]) -> str:
    lines = [f"## {title}", ""]
    for group, members in groupby(settings, key=lambda setting: setting.group):
        lines += [f"### {group}", "", "| setting | option | values | default | what it is |"]
        lines.append("| --- | --- | --- | --- | --- |")
        lines += [_row(setting) for setting in members]
        lines.append("")
    return "\n".join(lines)


def _scheme_parts() -> str:
    kinds: list[Registry[Any]] = [CODES, DECODERS, STOPS, ESTIMATES]
    rows = [
        f"| {kind.what} | {', '.join(f'`{form}`' for form in kind.forms())} |" for kind in kinds
    ]
    return "\n".join([_PARTS, *rows, ""])


def _row(setting: Setting) -> str:
    default = setting.rule if setting.default is None else f"`{setting.default}`"
    if setting.field.is_required():
        default = "required"
    names = [f"`{key(setting.path)}`", f"`--{setting.flag}`"]
    cells = [*names, f"`{setting.values}`", default, setting.told]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
