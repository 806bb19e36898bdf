"""The arguments of the face and the settings tree are the same thing."""

from __future__ import annotations

import inspect
import re
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest

import erasurehead as eh
from erasurehead.errors import UsageError
from erasurehead.schemes.shorthands import SHORTHANDS
from erasurehead.settings.leaves import Setting, key, settings_of
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.console.options import Given
from erasurehead_face.running.arguments import Group, Settings, settings_from

KINDS: dict[type, set[type]] = {
    int: {int},
    float: {float},
    str: {str, float},
    bool: {bool},
    Path: {str, Path},
}
"""What a setting of a kind may be given as from Python; a number may stand for a text of one."""


def taken(annotation: Any) -> set[Any]:
    """Return the types of an argument, None aside."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else ()
    return {get_origin(kind) or kind for kind in kinds} - {type(None)}


def test_every_setting_is_an_argument_of_its_kind() -> None:
    hints = get_type_hints(Settings)
    leaves: dict[str, Setting] = {s.name[0]: s for s in settings_of(RunSettings)}
    groups = {s.name[0] for s in settings_of(RunSettings) if len(s.name) > 1}
    assert set(hints) == set(leaves) - {"store"}, "write the setting down in arguments.py"
    for name, hint in hints.items():
        if name in groups:
            assert hint == Group | None, name
        elif leaves[name].is_list:
            assert str in taken(hint), name
        else:
            assert taken(hint) <= KINDS[leaves[name].kind] | {str if leaves[name].words else int}
            assert taken(hint), name


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": 0},
        {"workers": "many"},
        {"workers": 3, "membership": {"min_workers": 4}},
        {"scheme": "agx"},
        {"scheme": "agc:c=x"},
        {"wire": {"dense_share": 2}},
        {"optimizer": "lbfsg"},
        {"until": "gap:x"},
        {"l2": -1},
        {"step": "auto:1"},
        {"seed": -1},
        {"delay": "exponental:mean_s=1"},
        {"wokers": 3},
        {"rounds": True},
        {"membership": {"heartbeat_interval_s": 9}},
    ],
    ids=str,
)
def test_a_wrong_argument_is_told_of_as_on_the_command_line(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as python:
        settings_from(RunSettings, wrong, "s", environment={})
    with pytest.raises(UsageError) as command:
        load(RunSettings, {**wrong, "store": "s"}, environment={})
    assert str(python.value) == in_python(str(command.value))


def in_python(told: str) -> str:
    """Return a sentence about options as one about arguments."""
    told = told.replace("the command line", "the arguments")
    return re.sub(r"--([\w-]+)", lambda found: SPELT.get(found[1], found[0]), told)


SPELT = {setting.flag: key(setting.name) for setting in settings_of(RunSettings)}


def test_numbers_of_numpy_are_numbers() -> None:
    given = {"workers": np.int64(3), "l2": np.float32(0.5), "wire": {"dense_share": np.float64(1)}}
    settings = settings_from(RunSettings, given, "s", environment={})
    assert (settings.coding.workers, settings.problem.l2) == (3, 0.5)
    assert settings.wire.dense_share == 1.0


def test_none_leaves_a_setting_to_the_other_sources(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("coding: {workers: 5}\n", encoding="utf-8")
    settings = settings_from(
        RunSettings, {"workers": None, "rounds": 7}, "s", file, {"ERASUREHEAD_SEED": "3"}
    )
    assert (settings.coding.workers, settings.descent.rounds, settings.run.seed) == (5, 7, 3)
    assert Given({"rounds": "7"}, file).load(RunSettings, store="s").coding.workers == 5


def test_schemes_are_calls_with_the_options_of_the_shorthands() -> None:
    assert eh.agc(c=3, r=3) == "agc:c=3,r=3"
    assert eh.cached() == "cached"
    for name in SHORTHANDS:
        call = getattr(eh, name)
        own = inspect.signature(SHORTHANDS.factory(name)).parameters
        assert inspect.signature(call).parameters == own
    with pytest.raises(eh.UsageError, match="no option 'rr'"):
        eh.agc(c=3, rr=4)  # type: ignore[call-arg]
    with pytest.raises(eh.UsageError, match="needs c"):
        eh.egc()  # type: ignore[call-arg]
    with pytest.raises(eh.UsageError, match="by name"):
        eh.egc(3)  # type: ignore[call-arg]


def test_the_names_of_the_face_are_there_and_typed() -> None:
    stub = Path(eh.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    typed = {line.split(" as ")[1] for line in stub.splitlines()}
    names = vars(eh)["__all__"]
    assert typed == set(names) <= set(dir(eh))
    for name in names:
        assert getattr(eh, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        getattr(eh, "trian")  # noqa: B009
