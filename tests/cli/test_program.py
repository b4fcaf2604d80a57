import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import keras_dla
from keras_dla.cli import main
from keras_dla.cli.commands import list_models
from keras_dla.cli.errors import CommandError
from keras_dla.models import list_models as names_of_models
from tests.backends import on_pytorch

PACKAGE = Path(keras_dla.__file__).parent
COMMANDS = (
    "list",
    "summary",
    "train",
    "report",
    "predict",
    "attention",
    "explore",
    "figure",
    "detect",
    "completion",
    "evaluate",
    "convert",
    "tables",
)

# The package without what its own `__init__` imports.
LIGHT = """
import sys, types
package = types.ModuleType("keras_dla")
package.__path__ = [sys.argv[1]]
sys.modules["keras_dla"] = package
from keras_dla.cli import main
try:
    main(["attention", "--help"])
finally:
    heavy = ("keras", "numpy", "tensorflow", "jax", "torch", "matplotlib", "PIL")
    print([name for name in heavy if name in sys.modules])
"""

# The program as a shell starts it in the foreground: what runs in the background (`pytest &`,
# `nohup`) has its processes ignore Ctrl-C from their start.
HEARS_CTRL_C = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from keras_dla_program import main
print("begins", file=sys.stderr, flush=True)
sys.exit(main())
"""


def test_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "keras_dla", "list"],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == names_of_models()


def test_the_commands_themselves_import_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, str(PACKAGE)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: keras-dla attention")
    assert done.stdout.splitlines()[-1] == "[]"


def test_without_a_command_it_helps(capsys):
    assert main([]) == 2
    assert "to get started" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches(capsys, command):
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    # An example of the command below its options.
    assert f"\n  keras-dla {command}" in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"keras-dla {keras_dla.__version__}\n"


@pytest.mark.parametrize(
    ("typed", "program", "reason"),
    [
        (["fly"], "keras-dla", "argument COMMAND: invalid choice: 'fly'"),
        (["train", "--epochs", "x"], "keras-dla train", "argument --epochs: invalid int value"),
        (["list", ""], "keras-dla", "an argument is empty, as a variable that is not set would be"),
        (["list", "--images="], "keras-dla", "an argument --images= is empty, as a variable that "),
        (["figure", "2"], "keras-dla figure 2", "the following arguments are required: "),
    ],
)
def test_what_cannot_be_parsed_is_one_line(capsys, typed, program, reason):
    with pytest.raises(SystemExit) as exit_:
        main(typed)
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{program}: error: {reason}")
    assert line.endswith(f"; see {program} --help.")


def test_a_traceback_for_those_who_want_it(capsys):
    with pytest.raises(CommandError, match="NAME must be one of"):
        main(["--traceback", "summary", "fly"])


def test_a_defect_is_not_hidden(monkeypatch):
    def defect(*_):
        raise TypeError("a defect")

    monkeypatch.setattr(list_models, "_is_wanted", defect)
    with pytest.raises(TypeError, match="a defect"):
        main(["list"])


def test_an_interrupt_is_one_line(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(list_models, "_is_wanted", interrupt)
    assert main(["list"]) == 130
    assert capsys.readouterr() == ("", "keras-dla list: interrupted.\n")


def test_an_error_of_several_lines_becomes_one(monkeypatch, fails):
    def refuse(*_):
        raise OSError("no space\n  left")

    monkeypatch.setattr(list_models, "_is_wanted", refuse)
    assert fails("list") == "no space left"


@pytest.mark.parametrize(
    ("redirected", "sentence"),
    [
        (">&-", "standard output must be open to print the result, but is closed."),
        ("> /dev/full", "No space left on device."),
    ],
)
@on_pytorch
def test_output_that_cannot_be_written(redirected, sentence):
    if redirected.endswith("/dev/full") and not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    done = subprocess.run(
        f"{sys.executable} -m keras_dla list {redirected}",
        shell=True,
        env=os.environ | {"KERAS_BACKEND": "none"},  # `list` needs none
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (2, f"keras-dla list: error: {sentence}\n")


def test_what_the_output_cannot_show_is_escaped(monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(list_models, "_is_wanted", lambda *_: print("ü 图 \udcff"))
    main(["list"])
    output.flush()
    assert output.buffer.getvalue().startswith(b"\\xfc \\u56fe \\udcff")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("RESOURCE_EXHAUSTED: Out of mem")])
def test_no_memory_is_a_sentence(monkeypatch, fails, error):
    def fill(*_):
        raise error

    monkeypatch.setattr(list_models, "_is_wanted", fill)
    assert fails("list").startswith("There is not enough memory")


@on_pytorch
@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is no signal there")
@pytest.mark.parametrize(
    ("waits_for", "program"),
    [("begins", "keras-dla"), ("Building dla_b_164 ...", "keras-dla summary")],
)
def test_ctrl_c_during_imports_and_while_a_network_is_built(waits_for, program):
    for _ in range(3):
        status, said = interrupted(waits_for)
        # Python drops an interrupt that comes while an object is deleted, and goes on.
        if not said.startswith("Exception ignored in"):
            break
    assert (status, said) == (130, f"{program}: interrupted.\n")


def interrupted(waits_for):
    """Returns how the program ends, and what it says, after Ctrl-C behind this line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C, "summary", "dla_b_164"],
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.stderr.readline() != f"{waits_for}\n":
        assert process.poll() is None
    time.sleep(0.2)  # what says so has still to be left
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    return process.returncode, said
