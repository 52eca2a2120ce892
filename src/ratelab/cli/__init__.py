"""The command line. :func:`main` is what ``ratelab`` runs; each command has a file of its own and loads rooms on use."""

from ratelab.cli.app import main

__all__ = ["main"]
