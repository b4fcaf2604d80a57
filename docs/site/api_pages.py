"""Makes the pages of the API from what each room exports, a page for each room inside it."""

import importlib
import inspect
from types import ModuleType

from mkdocs.structure.files import File

ROOMS = ("models", "layers", "data", "training", "detection", "analysis", "interop")
TITLES = {"coco": "COCO", "ops": "Operations"}


def on_config(config):
    """Puts the pages into the menu, before its last entry."""
    menu = [{title(room): sorted(pages_of(room), key=len)} for room in ROOMS]
    config.nav.insert(-1, {"API": ["api/index.md", *menu]})
    return config


def on_files(files, config):
    """Adds the pages to those of the site."""
    for path, text in {"api/index.md": index(), **all_pages()}.items():
        files.append(File.generated(config, path, content=text))
    return files


def all_pages() -> dict[str, str]:
    """Returns the text of every page below `api/` by its path."""
    return {path: text for room in ROOMS for path, text in pages_of(room).items()}


def pages_of(room: str) -> dict[str, str]:
    """Returns the pages of a room: its own names, and one for each room inside it."""
    module = importlib.import_module(f"keras_dla.{room}")
    groups: dict[str, list[str]] = {"": []}
    for name in module.__all__:
        groups.setdefault(inner_room(room, getattr(module, name)), []).append(name)
    pages = {}
    for inner, names in groups.items():
        if names:
            package = importlib.import_module(f"keras_dla.{room}.{inner}".rstrip("."))
            path = f"api/{room}-{inner}.md" if inner else f"api/{room}.md"
            pages[path] = page(room, inner, names, package, module)
    return pages


def inner_room(room: str, value) -> str:
    """Returns the name of the package inside the room in which a value is defined, or ''."""
    parts = getattr(value, "__module__", "").split(".")
    inside = parts[:2] == ["keras_dla", room] and len(parts) > 3
    return parts[2] if inside else ""


def title(name: str) -> str:
    """Returns a room's name as a title."""
    return TITLES.get(name, name.replace("_", " ").capitalize())


def page(room: str, inner: str, names: list[str], package: ModuleType, module: ModuleType) -> str:
    """Returns a table of the names, and behind it the documentation of each."""
    heading = f"{title(room)}: {title(inner).lower()}" if inner == "ops" else title(inner or room)
    first = (package.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    values = {name: getattr(module, name) for name in names}
    rows = [f"| [`{name}`](#{anchor(room, name)}) | {summary(values[name])} |" for name in names]
    parts = [f"# {heading}", first, f"Import these from `keras_dla.{room}`."]
    parts.append("\n".join(["| name | what it is |", "|---|---|", *rows]))
    parts += [entry(room, name, value) for name, value in values.items()]
    return "\n\n".join(parts) + "\n"


def anchor(room: str, name: str) -> str:
    """Returns the public name, under which a page's entry is linked."""
    return f"keras_dla.{room}.{name}"


def documented(value) -> bool:
    """Says whether a value has a docstring of its own, as functions and classes do."""
    return inspect.isclass(value) or inspect.isfunction(value)


def summary(value) -> str:
    """Returns the first sentence of a docstring, or a constant's value."""
    if not documented(value):
        return f"`{value!r}`".replace("|", "\\|")
    text = (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")
    return text.replace("|", "\\|")


def entry(room: str, name: str, value) -> str:
    """Returns the documentation of one name.

    Where it is defined is unambiguous: some modules have the name of the function in them.
    """
    if not documented(value):
        return f"### `{name}` {{ #{anchor(room, name)} }}\n\n{summary(value)}"
    path = f"{value.__module__}.{value.__qualname__}"
    return f"[](){{#{anchor(room, name)}}}\n\n::: {path}\n\nDefined in `{source(value)}`."


def source(value) -> str:
    """Returns the file in which a value is defined, which the site makes a link."""
    return f"{value.__module__.replace('.', '/')}.py"


def index() -> str:
    """Returns a page with every public name of every room."""
    parts = ["# All names", "Every public function, class and constant, room by room."]
    for room in ROOMS:
        module = importlib.import_module(f"keras_dla.{room}")
        parts.append(f"## {title(room)}")
        links = [f"[`{name}`][{anchor(room, name)}]" for name in module.__all__]
        parts.append(f"`keras_dla.{room}`: " + ", ".join(links) + ".")
    return "\n\n".join(parts) + "\n"
