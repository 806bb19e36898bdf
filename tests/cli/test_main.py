"""The command's manners: bad input is one sentence and an exit code, help is quick."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from erasurehead.errors import EXIT_INTERRUPTED, EXIT_USAGE, BindError
from erasurehead_cli import command_line as command
from erasurehead_cli.console.options import SettingsCommand
from tests.support.played_runs import MakeRun

BAD = [
    (["trian"], "No such command 'trian'"),
    (["train", "s", "--wrokers", "3"], "No such option: --wrokers"),
    (["train", "s", "--workers", "many"], "'workers' = 'many' from the command line"),
    (
        ["train", "s", "--workers", "0"],
        "'workers' = '0' from the command line does not fit; give --workers a whole number of at"
        " least 1",
    ),
    (["train", "s", "--rounds", "0"], "give --rounds a whole number of at least 1"),
    (["train", "s", "--rounds", "2.5"], "give --rounds a whole number"),
    (["train", "s", "--seed", "2147483648"], "give --seed a whole number below 2147483648"),
    (["train", "s", "--l2", "-1"], "give --l2 a number of at least 0"),
    (["train", "s", "--wire-dense-share", "2"], "give --wire-dense-share a number of at most 1"),
    (["train", "s", "--limits-norm-multiple", "1"], "a number above 1"),
    (["train", "s", "--checkpoint-every-s", "x"], "give --checkpoint-every-s a number"),
    (["train", "s", "--l2", "a"], "give --l2 a number or the word auto"),
    (["train", "s", "--l2", "nan"], "give --l2 a finite number"),
    (["train", "s", "t"], "unexpected extra argument"),
    (["train", "s", "--store", "t"], "store is given twice"),
    (["train"], "setting 'store' is missing"),
    (["train", "nowhere"], "nowhere"),
    (["train", "s", "--config", "missing.yaml"], "cannot read configuration missing.yaml"),
    (["train", "s", "--membership-silence-limit-s", "1"], "silence_limit_s=1 must be at least"),
    (
        ["train", "s", "--wire-format", "f3"],
        "--wire-format: unknown vector format 'f3'; known: f8,",
    ),
    (["settings", "train", "s", "--rounds", "x"], "'rounds' = 'x'"),
    (["settings", "boss"], "No such command 'boss'"),
    (["compare", "s", "--scheme", "uncoded", "--scheme", "uncoded"], "uncoded is given twice"),
    (["compare", "nowhere"], "nowhere"),
    (["compare", "s", "--target", "high"], "--target"),
    (["compare", "s", "--target", "nan"], "--target nan is not a number to reach"),
    (["master", "s", "--bind"], "requires an argument"),
    (["worker", "--slot", "-1"], "'slot' = '-1' from the command line"),
    (["predict", "nowhere", "s"], "holds no run"),
    (["predict", "nowhere"], "Missing argument 'DATA'"),
    (["prepare", "synthetic", "--option", "rows"], "--option rows is not of the form KEY=VALUE"),
    (["prepare", "csv", "-o", "a=1", "-o", "a=2"], "option 'a' is given twice"),
    (["prepare"], "Missing argument 'NAME'"),
]


@pytest.mark.parametrize(("arguments", "expected"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    assert line.startswith("erasurehead: ")
    assert expected in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("ERASUREHEAD_ROUNDZ", "3", "ERASUREHEAD_ROUNDZ (did you mean 'ERASUREHEAD_ROUNDS'?)"),
        ("ERASUREHEAD_DESCENT__ROUNDS", "3", "(did you mean 'ERASUREHEAD_ROUNDS'?)"),
        ("ERASUREHEAD_ROUNDS", "x", "'rounds' = 'x' from the environment does not fit"),
        ("ERASUREHEAD_ROUNDS", "0", "give ERASUREHEAD_ROUNDS a whole number of at least 1"),
        ("ERASUREHEAD_REFIT__ELASTIC", "7", "give ERASUREHEAD_REFIT__ELASTIC yes or no"),
    ],
)
def test_a_bad_environment_is_one_sentence(
    variable: str,
    value: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    assert command.run(["settings", "train", "s"]) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("coding: {wrokers: 3}\n", "unknown setting 'coding.wrokers' in"),
        ("wrokers: 3\n", "did you mean 'coding.workers'?"),
        ("wire: {fromat: f4}\n", "did you mean 'wire.format'?"),
        ("- 1\n", "must be a mapping"),
        ("a: [", "is not YAML"),
        ("coding: {workers: [1]}\n", "'coding.workers' = [1] from"),
        ("descent: {rounds: 2.5}\n", "give it a whole number"),
        ("run: {resume: perhaps}\n", "give it yes or no"),
        ("wire: 3\n", "give it settings of its own"),
    ],
)
def test_a_bad_file_is_one_sentence(
    text: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.yaml").write_text(text)
    assert command.run(["settings", "train", "s", "--config", str(tmp_path / "run.yaml")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert expected in line


def test_each_error_brings_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> int:
        raise BindError("tcp://127.0.0.1:1\nis in use; choose another --bind")

    monkeypatch.setattr(command, "application", lambda _: fail)
    assert command.run([]) == 6
    said = capsys.readouterr().err
    assert said == "erasurehead: tcp://127.0.0.1:1 is in use; choose another --bind\n"


def test_memory_that_ran_out_is_one_sentence_without_empty_brackets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def greedy(**_: object) -> int:
        raise MemoryError

    monkeypatch.setattr(command, "application", lambda _: greedy)
    assert command.run([]) == 2
    assert "for this (no more could be had); use fewer" in capsys.readouterr().err


def test_an_interrupt_is_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(**_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "application", lambda _: interrupted)
    assert command.run([]) == EXIT_INTERRUPTED


def test_an_interrupt_while_the_program_is_imported_is_no_traceback() -> None:
    script = (
        "import sys\n"
        "from erasurehead_cli.main import main\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "sys.exit(main(['train', 'store']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (EXIT_INTERRUPTED, "erasurehead: interrupted\n")


def test_an_interrupted_command_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """typer ends with 130 and an empty line, if it is left to deal with it."""
    app = typer.Typer()
    app.callback()(lambda: None)

    @app.command(cls=SettingsCommand)
    def plan() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "application", lambda _: app)
    assert command.run(["plan"]) == EXIT_INTERRUPTED
    assert capsys.readouterr().err.strip() == "erasurehead: interrupted"


def test_what_nobody_foresaw_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(command, "application", lambda _: broken)
    with pytest.raises(ZeroDivisionError):
        command.run([])


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"], ["-h"], ["train", "--help"], ["settings"]):
        assert command.run(arguments) == 0
        assert "Usage: erasurehead" in capsys.readouterr().out
    assert command.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("erasurehead ")


def test_paragraphs_of_help_fill_their_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert command.run(["stragglers", "--help"]) == 0
    shown = [line.strip() for line in capsys.readouterr().out.splitlines()]
    at = next(i for i, line in enumerate(shown) if line.startswith("Workers that are gone"))
    paragraph = shown[at : shown.index("", at)]
    assert min(map(len, paragraph[:-1])) > 60


def test_the_real_command_ends_with_the_code_and_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "erasurehead_cli", "predict", "nowhere", "nothing"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("erasurehead: nowhere holds no run")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`erasurehead settings --markdown | head -1`, with head gone before anything is written."""
    with subprocess.Popen(
        [sys.executable, "-m", "erasurehead_cli", "settings", "--markdown"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(timeout=60) in (0, 1)
    assert "Traceback" not in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
def test_an_output_that_has_no_room_is_one_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "erasurehead_cli", "settings", "--markdown"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == EXIT_USAGE
    assert done.stderr == (
        "erasurehead: cannot write the output: No space left on device; make room, or send it"
        " elsewhere\n"
    )


def test_an_unfinished_run_is_refused(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = make_run()
    (run.path / "summary.json").unlink()
    assert command.run(["predict", str(run.path), str(tmp_path)]) == 2
    assert "is unfinished: there is no summary.json" in capsys.readouterr().err


def test_a_configuration_that_is_not_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe")
    assert command.run(["settings", "train", "store", "--config", str(tmp_path / "c.yaml")]) == 2
    assert "is not UTF-8 text" in capsys.readouterr().err


def test_half_a_command_shows_its_help_and_says_what_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command.run(["keys"]) == EXIT_USAGE
    said = capsys.readouterr()
    assert "new" in said.out
    assert said.err == (
        "erasurehead: this command needs another one after it; see erasurehead keys --help\n"
    )


def test_a_command_imports_no_other() -> None:
    look = (
        "import sys; from erasurehead_cli.main import main; main(['train', '--help']);"
        " print(*(m for m in sys.modules if m.startswith('erasurehead_cli.commands.')))"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "erasurehead_cli.commands.train"
