"""Weight files from before classes were renamed.

Keras finds the weights of a layer in a file by the name of its class.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The group names in Keras's files for the new name of a class and for the old one.
RENAMED = {"base_layer_attention": "mrla_base", "light_layer_attention": "mrla_light"}
OLD_GROUP = re.compile(rf"(.*/)?({'|'.join(RENAMED)})(_\d+)?")


@contextmanager
def with_new_names(path: str | Path) -> Iterator[str | Path]:
    """Yields `path`, or the path of a copy with the new names if the file has old ones.

    Args:
        path: path of a file that `keras.Model.load_weights` reads.
    """
    if not str(path).endswith(".weights.h5") or not Path(path).is_file():
        yield path
        return
    old = _old_groups(path)
    if not old:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "renamed.weights.h5"
        copy.write_bytes(Path(path).read_bytes())
        _rename(copy, old)
        yield copy


def _old_groups(path) -> list[str]:
    # h5py is installed with Keras, which imports it only when a file is read.
    import h5py

    names: list[str] = []
    with h5py.File(path, "r") as file:
        file.visit(names.append)
    return [name for name in names if OLD_GROUP.fullmatch(name)]


def _rename(path, old: list[str]) -> None:
    import h5py

    with h5py.File(path, "r+") as file:
        # The innermost first, so that the paths of the outer ones stay valid.
        for name in sorted(old, key=lambda name: name.count("/"), reverse=True):
            found = OLD_GROUP.fullmatch(name)
            assert found is not None  # `old` contains only matching names
            parent, old_name, number = found.groups("")
            file.move(name, f"{parent}{RENAMED[old_name]}{number}")
