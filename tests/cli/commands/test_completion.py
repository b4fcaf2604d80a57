import subprocess

import pytest

from keras_dla.cli import main
from tests.backends import on_pytorch

pytestmark = on_pytorch
pytest.importorskip("shtab", reason="needs shtab, which writes the script")


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_the_script_knows_commands_and_options(capsys, shell):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "attention" in script
    assert "learning-rate" in script


def test_bash_reads_it(capsys, tmp_path):
    assert main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    program = """
source ./script
COMP_WORDS=(keras-dla pre) COMP_CWORD=1 COMP_LINE="keras-dla pre" COMP_POINT=13
_shtab_keras_dla 2> /dev/null
echo "${COMPREPLY[@]}"
"""
    done = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == ["predict"], done.stderr
