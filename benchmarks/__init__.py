"""Benchmarks: `make bench`, or `python -m benchmarks.NAME` for one; QUICK=1 shortens them.

Each prints what it does to standard error and one JSON object as the last line of standard
output. One thread: this runs before any of them imports numpy, whose BLAS reads these once.
"""

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
