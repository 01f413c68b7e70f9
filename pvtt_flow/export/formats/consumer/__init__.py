"""Bundles of files that a consumer reads as they are, written and validated by its profile."""
