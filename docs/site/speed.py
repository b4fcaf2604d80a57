"""Writes the tables of speed on `README.md` and `docs/results.md`.

    python benchmarks/networks.py ... | tee -a docs/results/speed-56.txt
    python docs/site/speed.py

The figures, and from which command, commit and machine they are, stand in that file as the
benchmark printed them. The tables stand between the comments `speed` and `end of speed`.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ROOT / "docs" / "results" / "speed-56.txt"
PLACE = re.compile(r"(<!-- speed -->\n).*?(<!-- end of speed -->)", re.DOTALL)
# Rows of README: backend, what is behind the network's name, and what the row is called.
ROWS = (
    ("torch", " (authors)", "authors' code (PyTorch)"),
    ("torch", "", "keras_dla on PyTorch"),
    ("tensorflow", "", "keras_dla on TensorFlow, `jit_compile=False`"),
    ("jax", "", "keras_dla on JAX"),
)
NETWORKS = ("resnet", "dla_l", "dla_b")


def readme_table(text: str) -> str:
    """Returns seconds per training step, and in brackets the multiple of the plain network."""
    rows = (line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| "))
    found = {tuple(cells[:2]): cells[2:4] for cells in rows}
    lines = ["", "| | plain | DLA-L | DLA-B |", "|---|---|---|---|"]
    for backend, suffix, label in ROWS:
        pairs = [found[backend, network + suffix] for network in NETWORKS]
        cells = [f"{float(s):.2f} ({float(ratio):.1f})" for s, ratio in pairs]
        cells[0] = cells[0].partition(" ")[0]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", ""])


def results_tables(text: str) -> str:
    """Returns each measurement as its command, its commit and machine, and its table."""
    parts = []
    for measurement in text.split("$ ")[1:]:
        command, origin, _, *table = measurement.strip().split("\n")
        parts += [f"    {command}", f"{origin}.", "\n".join(table)]
    return "\n" + "\n\n".join(parts) + "\n\n"


def updated(page: Path) -> str:
    """Returns the page with the table of the present figures."""
    make = readme_table if page.name == "README.md" else results_tables
    table = make(MEASURED.read_text("utf-8"))
    return PLACE.sub(lambda found: found[1] + table + found[2], page.read_text("utf-8"))


PAGES = (ROOT / "README.md", ROOT / "docs" / "results.md")


def main() -> None:
    for page in PAGES:
        page.write_text(updated(page), encoding="utf-8")


if __name__ == "__main__":
    main()
