"""What stops a command: said to the person at the terminal in a line, without a traceback."""


class Failure(Exception):  # noqa: N818 - not an error of the program: it says what its user has to do
    """The command cannot do its work. `str(failure)` is what its user reads; the exit code is 1."""
