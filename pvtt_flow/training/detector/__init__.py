"""Train the embedded YOLO from scratch on rendered stills."""
