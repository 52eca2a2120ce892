"""Divergences between two laws that are seen through samples or weights, for objectives and estimators alike."""
