"""Run whose tracker's device fails on sick nodes: `python -m tests.slow.faulty_run CONFIG`.

Ray fixes the way it authenticates when a process first uses it, so this is a process of its own.
"""

import logging
import sys
from pathlib import Path

from pvtt_flow.cli.options import load_config
from pvtt_flow.pipeline.run import execute, prepare
from pvtt_flow.stages import factory
from tests.pipeline import faulty_stages
from tests.pipeline.test_run import Recorder

if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    vars(factory).update(
        detect=faulty_stages.healthy, propagate=faulty_stages.device_fails_on_sick_nodes
    )
    execute(prepare(load_config(Path(sys.argv[1]), [])), Recorder())
