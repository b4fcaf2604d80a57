"""`keras-dla completion`: a script that lets a shell complete the program's commands."""

import argparse

from keras_dla.cli.command import Commands, new_command
from keras_dla.cli.errors import CommandError

SHELLS = ("bash", "zsh", "tcsh")
TEXT = """\
Install the printed script once where your shell looks for it, or load it in each session:

  keras-dla completion bash > ~/.local/share/bash-completion/completions/keras-dla
  keras-dla completion zsh > ~/.zfunc/_keras-dla
  eval "$(keras-dla completion bash)"
"""


def add_parser(commands: Commands) -> None:
    """Adds the command to the program."""
    parser = new_command(commands, "completion", run, "print a script for shell completion", TEXT)
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def run(arguments: argparse.Namespace) -> None:
    """Prints the script."""
    from keras_dla.cli.program import make_parser

    try:
        import shtab
    except ImportError as error:
        raise CommandError(
            "shell completion needs shtab: pip install 'keras-dla[completion]'"
        ) from error
    print(shtab.complete(make_parser(), arguments.shell))
