"""The demo: an invented town of known truth, played through the public API."""
