"""The clocks by which benchmarks measure: the wall's, or the CPU time of the own process."""

import time

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
