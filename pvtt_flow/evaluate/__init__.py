"""Masks against annotated truth: how good they are, by object, sequence and set."""
