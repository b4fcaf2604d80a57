"""Ships MathJax with the site, for the pages that have equations."""

import importlib.util
from pathlib import Path

from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url

SCRIPT = "site/mathjax.js"
SETTINGS = r"""<script>
MathJax = {
  tex: {inlineMath: [["\\(", "\\)"]], displayMath: [["\\[", "\\]"]]},
  options: {ignoreHtmlClass: ".*", processHtmlClass: "arithmatex"},
};
</script>"""


def on_files(files, config):
    """Takes the script from the package that holds it."""
    package = importlib.util.find_spec("mathjax").submodule_search_locations[0]
    script = Path(package, "static", "mathjax", "es5", "tex-svg.js")
    files.append(File.generated(config, SCRIPT, content=script.read_bytes()))
    return files


def on_post_page(output, page, config):
    """Loads it where there is something to set."""
    if 'class="arithmatex"' not in output:
        return output
    source = get_relative_url(SCRIPT, page.url)
    return output.replace("</head>", f'{SETTINGS}<script defer src="{source}"></script></head>', 1)
