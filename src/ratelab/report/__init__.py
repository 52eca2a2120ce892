"""Figures and the self-contained page of a store. No torch here."""

from ratelab.report.write import write_report

__all__ = ["write_report"]
