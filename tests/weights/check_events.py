#!/usr/bin/env python3
"""Train a little, stop, go on, and read the event files with TensorBoard itself.

    python check_events.py UNMASK
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main(program: str) -> int:
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "run"
        train = [program, "train", "--quiet", "--steps", "12", "--batch", "4", "--eval-every", "4", "--out", str(out)]
        subprocess.run([*train, "--stop-after", "7"], check=True)
        subprocess.run([*train, "--resume"], check=True)
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        events = EventAccumulator(str(out)).Reload()
        for tag, key in [("loss/train", "loss"), ("loss/held_out", "held_out_loss"), ("lr", "lr"), ("grad_norm", "grad_norm")]:
            want = [(line["step"], line[key]) for line in lines if key in line]
            got = [(event.step, event.value) for event in events.Scalars(tag)]
            assert [step for step, _ in got] == [step for step, _ in want], (tag, got, want)
            assert all(abs(a - b) <= 1e-6 * abs(b) for (_, a), (_, b) in zip(got, want)), (tag, got, want)
            print(f"TensorBoard reads {len(got)} points of {tag}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
