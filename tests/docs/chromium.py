"""Headless Chromium, where it is installed: widths and screenshots of built pages.

python -m tests.docs.chromium build/site out-folder [page ...]
"""

import contextlib
import functools
import http.server
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
WIDTHS = (390, 1280)
# Loads every page in a frame of each width, and writes down how wide its content is.
MEASURE = """<!doctype html><body><script type="module">
const result = {};
for (const page of PAGES) for (const width of WIDTHS) {
  const frame = document.createElement("iframe");
  Object.assign(frame.style, {width: width + "px", height: "900px", border: 0});
  frame.src = page;
  document.body.append(frame);
  await new Promise(done => frame.onload = done);
  const root = frame.contentDocument.documentElement;
  result[page + " " + width] = [root.scrollWidth, root.clientWidth];
  frame.remove();
}
await fetch("/result", {method: "POST", body: JSON.stringify(result)});
</script>"""
FRAME = """<!doctype html><body style="margin:0">
<iframe src="PAGE" style="border:0;width:WIDTHpx;height:HEIGHTpx">"""


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, and keeps what a page sends back."""

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        self.server.results.put(json.loads(body))


@contextlib.contextmanager
def served(folder: Path):
    """Serves a folder on this machine; yields its address and the queue of what comes back."""
    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.results = queue.Queue()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", server.results
        server.shutdown()


@contextlib.contextmanager
def browser(url: str, *options: str, stdout=subprocess.DEVNULL):
    """Runs the browser with a page, and ends it and its children."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={profile}", *options, url,
        ]  # fmt: skip
        outputs = {"stdout": stdout, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, start_new_session=True, **outputs)
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def widths(site: Path, pages: list[str]) -> dict[str, list[int]]:
    """Returns, for "page width", how wide the content is and how wide the window."""
    script = MEASURE.replace("PAGES", json.dumps(pages)).replace("WIDTHS", json.dumps(WIDTHS))
    measure = site / "measure.html"
    measure.write_text(script, encoding="utf-8")
    try:
        # The port for debugging keeps it open until it is ended.
        with (
            served(site) as (address, results),
            browser(f"{address}/measure.html", "--remote-debugging-port=0"),
        ):
            return results.get(timeout=240)
    finally:
        measure.unlink()


def dom(url: str) -> str:
    """Returns a page as it is after its scripts have run."""
    with tempfile.TemporaryFile("w+") as file:
        options = ("--virtual-time-budget=8000", "--dump-dom")
        with browser(url, *options, stdout=file) as process:
            process.wait(timeout=60)
        file.seek(0)
        return file.read()


def screenshot(site: Path, page: str, width: int, height: int, file: Path) -> None:
    """Writes a picture of a page as a window of this size shows it."""
    frame = site / "frame.html"
    sizes = {"PAGE": page, "WIDTH": str(width), "HEIGHT": str(height)}
    frame.write_text(
        functools.reduce(lambda text, key: text.replace(key, sizes[key]), sizes, FRAME)
    )
    try:
        with served(site) as (address, _):
            options = (
                f"--window-size={width},{height}",
                "--virtual-time-budget=8000",
                f"--screenshot={file}",
            )
            with browser(f"{address}/frame.html", *options) as process:
                process.wait(timeout=60)
    finally:
        frame.unlink()


def main(site: str, output: str, *pages: str) -> None:
    site, output = Path(site).resolve(), Path(output).resolve()
    output.mkdir(parents=True, exist_ok=True)
    names = list(pages) or sorted(path.name for path in site.glob("*.html"))
    for key, (content, window) in widths(site, names).items():
        if content > window:
            print(f"{key}: the content is {content} wide")
    for page in names:
        for width in WIDTHS:
            name = page.replace("/", "-").replace(".html", "")
            screenshot(site, page, width, 1600, output / f"{name}-{width}.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
