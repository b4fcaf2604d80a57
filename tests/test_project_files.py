"""The files around the package agree with it."""

import re
import tomllib
from pathlib import Path

import pytest

import keras_dla
from tests.backends import on_pytorch

pytestmark = on_pytorch
ROOT = Path(__file__).resolve().parents[1]
METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PINS = dict(
    re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "tests" / "constraints.txt").read_text(), re.M)
)


def read(name: str):
    yaml = pytest.importorskip("yaml", reason="reading the settings needs PyYAML")
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def test_the_citation_has_the_version():
    citation = read("CITATION.cff")
    assert citation["version"] == keras_dla.__version__
    assert citation["license"] == METADATA["license"]


def test_ruff_is_one_version_everywhere():
    repos = {repo["repo"].split("/")[-1]: repo.get("rev") for repo in
             read(".pre-commit-config.yaml")["repos"]}  # fmt: skip
    assert repos["ruff-pre-commit"] == f"v{PINS['ruff']}"


def test_ci_runs_each_backend_with_both_ends_of_keras():
    source = (ROOT / "run.py").read_text("utf-8")
    backends, legs = (
        set(re.findall(r'"(\w+)"', re.search(rf"^{name} = (.*)$", source, re.M)[1]))
        for name in ("BACKENDS", "LEGS")
    )
    jobs = read(".github/workflows/test.yml")["jobs"]
    matrix = jobs["tests"]["strategy"]["matrix"]
    assert set(matrix["backend"]) == backends
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    named = {row["leg"] for row in matrix["include"]} | set(" ".join(commands).split())
    assert legs <= named


def test_the_oldest_keras_is_the_one_of_the_metadata():
    (lowest,) = (
        re.search(r"keras>=(.*)", one)[1] for one in METADATA["dependencies"] if "keras" in one
    )
    assert f"keras=={lowest}.0" in (ROOT / "run.py").read_text("utf-8")


def test_the_changelog_has_this_version():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    titles = re.findall(r"^## (.*)$", text, re.M)
    assert titles[0] == "Unreleased"
    assert titles[1].startswith(keras_dla.__version__)
