"""bertkit: from raw text to a published, evaluated BERT."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bertkit.notebook import finetune as finetune
    from bertkit.notebook import load as load

__version__ = "0.1.0"

# torch's threads wait for each other by spinning for milliseconds, which on a machine that runs anything else takes the core
# from the one that is waited for. A thousand turns cost nothing on idle cores; benchmarks/README.md has the figures.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def __getattr__(name: str) -> Any:
    """`load` and `finetune`, imported when they are asked for."""
    if name in ("load", "finetune"):
        from bertkit import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module 'bertkit' has no attribute {name!r}")
