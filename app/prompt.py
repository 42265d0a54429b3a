"""How a process that answers within milliseconds keeps its interpreter from pausing."""

import gc
import sys
from typing import Final

# How long a thread that computes keeps the interpreter while the event loop waits for it: each of the fifty steps of a
# request or a match may have to wait so long. Python's own 5 ms would make that a quarter of a second.
_SWITCH_S: Final = 0.0005


def be_prompt() -> None:
    """Let threads take short turns, and leave what is loaded by now out of every later search for garbage.

    To be called once everything is imported and compiled: that is some hundred thousand objects, which stay.
    """
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()
