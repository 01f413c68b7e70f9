"""Readers of a dataset: rows for SQL and Ray, clips with masks for torch."""
