"""Train the embedded SAM 2 from scratch on rendered clips."""
