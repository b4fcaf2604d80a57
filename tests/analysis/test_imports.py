import subprocess
import sys


def test_importing_the_package_needs_no_matplotlib():
    """Keras itself imports it where it is installed."""
    program = "import sys; sys.modules['matplotlib'] = None; import keras_dla.analysis"
    subprocess.run([sys.executable, "-c", program], check=True)
