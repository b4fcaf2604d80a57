"""Where figures come from: the command, the commit and the machine."""

import os
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CPU_INFO = Path("/proc/cpuinfo")  # Linux only


def provenance() -> str:
    """Returns the command as it was typed, the commit of this clone and the machine, two lines."""
    backend = os.environ.get("KERAS_BACKEND")
    script = Path(sys.argv[0]).resolve().relative_to(ROOT).as_posix()
    words = [f"KERAS_BACKEND={backend}"] if backend else []
    command = " ".join([*words, "python", script, *sys.argv[1:]])
    return f"$ {command}\nCommit `{commit()}`, {machine()}"


def commit() -> str:
    """Returns the short name of the commit; "+" marks changes since."""

    def git(*words: str) -> str:
        found = subprocess.run(("git", *words), cwd=ROOT, capture_output=True, text=True)
        return found.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + (
        "+" if git("status", "--porcelain", "--untracked-files=no") else ""
    )


def machine() -> str:
    """Returns the processor's name and the number of cores that the process may use."""
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    features = " with AVX-512" if any("avx512f" in line for line in lines) else ""
    return f"{count} cores of {name}{features}"
