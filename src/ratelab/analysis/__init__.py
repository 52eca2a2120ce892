"""Run folders to points, frontier, hull, best model per task. No torch here."""
