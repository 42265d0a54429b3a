"""`python -m app` is `trailmatch`."""

from app.cli import main

main()
