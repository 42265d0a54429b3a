"""Where a figure was measured: machine, load, versions."""

import os
import platform
from importlib.metadata import version
from typing import Any


def describe_machine() -> dict[str, Any]:
    """Say what a figure depends on besides our code; the load tells who else was using the machine."""
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "numba": version("numba"),
        "trailmatch": version("trailmatch"),
    }
