"""Plug-ins: what is loaded, when, and how a faulty one is told.

Each case runs in a process of its own, since what a plug-in registers stays for good.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TWIN = """
from erasurehead.coding import CODES
from erasurehead.coding.uncoded import uncoded

print("loaded", __name__)
CODES.register("{name}", lambda *context: uncoded(*context))
"""

PATHS = os.environ.get("PYTHONPATH", "")

LOAD = """
import sys
from pathlib import Path
from erasurehead.errors import UsageError
from erasurehead.settings.plugins import loaded_plugins
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
try:
    settings = load(RunSettings, {"store": "s", **GIVEN}, config=CONFIG, recorded=RECORDED)
except UsageError as error:
    sys.exit(f"refused: {error}")
print(settings.coding.scheme, settings.plugin, loaded_plugins())
"""


def load(
    folder: Path,
    given: dict[str, object],
    *,
    config: Path | None = None,
    recorded: bool = False,
    **environment: str,
) -> tuple[str, str]:
    """Load settings; return what was printed and what was refused."""
    values = (f"GIVEN = {given!r}", f"CONFIG = {config and str(config)!r}", f"{recorded=}")
    script = "\n".join(values).replace("recorded=", "RECORDED = ")
    script += LOAD.replace("config=CONFIG", "config=CONFIG and Path(CONFIG)")
    searched = os.pathsep.join([str(folder), PATHS])
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": searched, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("twin", "other"):
        (tmp_path / f"{name}.py").write_text(TWIN.format(name=name), encoding="utf-8")
    return tmp_path


def test_a_file_is_loaded_before_its_names_are_looked_up(folder: Path) -> None:
    printed, refused = load(folder, {"plugin": ["twin.py"], "scheme": "twin / first-copy / exact"})
    assert not refused
    assert "twin / first-copy / exact ('twin.py',)" in printed
    assert str(folder / "twin.py") in printed  # as another process must be told


def test_a_module_is_loaded_by_its_name(folder: Path) -> None:
    printed, refused = load(folder, {"plugin": ["twin"], "scheme": "twin / first-copy / exact"})
    assert not refused
    assert "loaded twin\n" in printed


def test_a_module_in_the_working_directory_is_found_by_an_installed_command(folder: Path) -> None:
    """Python puts the folder of the command first, not the one that the user is in (`-P`)."""
    settings: dict[str, object] = {"plugin": ["twin"], "scheme": "twin / first-copy / exact"}
    printed, refused = load(folder, settings, PYTHONSAFEPATH="1", PYTHONPATH=PATHS)
    assert not refused
    assert "loaded twin\n" in printed


def test_a_file_that_is_named_twice_is_loaded_once(folder: Path) -> None:
    printed, refused = load(folder, {"plugin": ["twin.py", str(folder / "twin.py"), "other.py"]})
    assert not refused
    assert printed.count("loaded") == 2


def test_yaml_and_environment_name_plugins(folder: Path) -> None:
    config = folder / "run.yaml"
    config.write_text("plugin: [twin.py, other.py]\n", encoding="utf-8")
    printed, refused = load(folder, {"scheme": "other / first-copy / exact"}, config=config)
    assert not refused
    assert printed.count("loaded") == 2
    config.write_text("plugin: twin.py\n", encoding="utf-8")
    printed, refused = load(folder, {}, config=config, ERASUREHEAD_PLUGIN="other.py,twin.py")
    assert not refused
    assert "('other.py', 'twin.py')" in printed


def test_what_a_run_recorded_loads_nothing(folder: Path) -> None:
    config = folder / "run.yaml"
    config.write_text(
        "plugin: [twin.py]\ncoding: {scheme: twin / first-copy / exact}\n", encoding="utf-8"
    )
    printed, refused = load(folder, {}, config=config, recorded=True)
    assert not refused
    assert "loaded" not in printed
    assert printed.endswith("('twin.py',) ()\n")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, "there is no plug-in"),
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named"),
        ("x = 1\ny = x / 0\n", "ZeroDivisionError: division by zero (faulty.py, line 2)"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3 (faulty.py, line 2); mend it"),
        ("def f(:\n", "SyntaxError: invalid syntax (faulty.py, line 1); mend it"),
        ("import nothing_of_that_name", "(faulty.py, line 1); mend it"),
        (TWIN.format(name="frc"), "code 'frc' exists already; choose another name"),
    ],
)
def test_a_faulty_file_is_told_in_one_sentence(folder: Path, code: str | None, words: str) -> None:
    if code is not None:
        (folder / "faulty.py").write_text(code, encoding="utf-8")
    _, refused = load(folder, {"plugin": ["faulty.py"]})
    assert refused.startswith("refused: ")
    assert words in refused
    assert refused.count("\n") == 1
    assert "faulty.py" in refused


def test_a_module_that_is_not_there_is_told(folder: Path) -> None:
    _, refused = load(folder, {"plugin": ["nowhere"]})
    assert "there is no module nowhere to load as a plug-in, neither where Python looks" in refused
    _, refused = load(folder, {"plugin": ["nowhere.at_all"]})
    assert "there is no module nowhere.at_all to load" in refused


def test_what_is_no_list_of_names_is_refused(folder: Path) -> None:
    config = folder / "run.yaml"
    config.write_text("plugin: 5\n", encoding="utf-8")
    _, refused = load(folder, {}, config=config)
    assert refused.startswith("refused: setting 'plugin' = 5 from")


def test_an_installed_package_is_loaded_by_its_entry_point(folder: Path) -> None:
    about = folder / "twins-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Name: twins\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(
        "[erasurehead.plugins]\ntwins = twin\n", encoding="utf-8"
    )
    printed, refused = load(folder, {"scheme": "twin / first-copy / exact"})
    assert not refused
    assert "loaded twin\n" in printed


def test_processes_of_a_search_have_the_plugins(folder: Path) -> None:
    """They start anew, and what they share may be of a plug-in's own type."""
    (folder / "typed.py").write_text("class Shared:\n    words = 'of a plug-in'\n", "utf-8")
    (folder / "search.py").write_text(
        "import sys\n"
        "from erasurehead.settings.plugins import load_plugins, loaded_plugins\n"
        "from erasurehead_simulator.planner.parallel import crew\n"
        "def work(shared, item):\n"
        "    return f'{shared.words} {item} {len(loaded_plugins())}'\n"
        "if __name__ == '__main__':\n"
        "    load_plugins(['typed.py'])\n"
        "    module = sys.modules[next(m for m in sys.modules if m.startswith('erasurehead_p'))]\n"
        "    with crew(module.Shared(), 2) as workers:\n"
        "        print(list(workers.map(work, [1, 2])))\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "search.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "['of a plug-in 1 1', 'of a plug-in 2 1']\n"
