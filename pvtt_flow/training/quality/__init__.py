"""Calibration of verdicts: tracked clips whose truth is known, and the models fitted to them."""
