"""Renders product clips and trains the embedded pair on them (`python -m pvtt_flow.training`)."""
