"""Train the embedded YOLO from scratch on rendered stills."""

import os
import tempfile

# Ultralytics writes settings when it is imported, and may download. Every module of this package
# imports it, so the package sets these first. The folder is deleted at exit.
_SETTINGS = tempfile.TemporaryDirectory(prefix="ultralytics-")
os.environ.setdefault("YOLO_CONFIG_DIR", _SETTINGS.name)
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
