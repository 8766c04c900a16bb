"""bertkit: from raw text to a published, evaluated BERT."""

import os

__version__ = "0.1.0"

# torch's threads wait for each other by spinning for milliseconds, which on a machine that runs anything else takes the core
# from the one that is waited for. A thousand turns cost nothing on idle cores; benchmarks/README.md has the figures.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
