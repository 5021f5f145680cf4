#!/usr/bin/env python3
"""Times Unmask's training step beside another trainer's, turn by turn; `./dev bench --peer NAME` builds both and calls it.

Both start from the same weights, pictures and masks. Their first losses have to agree; then they take turns of a few
optimiser steps, each first in every other pair, while the other waits. What counts is the median over pairs of the
peer's milliseconds a step divided by ours. Only the standard library is used. See README.md.
"""
import argparse
import json
import math
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
TORCH = ["{python}", str(HERE / "torch_peer.py"), "--precision", "{precision}"]
TAB = ["node", str(HERE / "tab_peer.mjs"), "--folder", "{page}", "--model", "{model}", "--batch", "{batch}",
       "--seed", "{seed}", "--rate", "{rate}"]
PEERS = {
    "burn": ["{program}"],
    "burn-plain": ["{program}"],
    "burn-vulkan": ["{program}"],
    "tab": TAB,
    "jax-js": ["node", str(HERE / "jax_peer.mjs"), "--folder", "{package}"],
    "meganeura": ["{program}"],
    "tinygrad": ["{python}", str(HERE / "tinygrad_peer.py")],
    "torch": TORCH,
    "torch-compile": [*TORCH, "--compile"],
}
# Peers that run in a browser, and are compared with us in one.
IN_BROWSERS = ["jax-js"]
# Largest relative difference of any of the first losses.
TOLERANCE = {"f32": 1e-3, "tf32": 5e-3, "bf16": 2e-2}
CHECKED_STEPS = 5
# Seconds of the slower program's turn, where --steps is not given.
TURN_SECONDS = 3.0
MOST_STEPS = 500


class Failure(Exception):
    """What is said on stderr before exiting with 1."""


class Trainer:
    """One of the two programs: answers a line `N` with the times and losses of N more steps."""

    def __init__(self, name, command, timeout):
        self.name, self.timeout = name, timeout
        self.lines = queue.Queue()
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        except OSError as error:
            raise Failure(f"{name} does not start: {error}") from error
        threading.Thread(target=self._read, daemon=True).start()
        self.ready = self._answer()
        if self.ready.get("ready") is not True:
            raise Failure(f"{name}: expected a line that it is ready, found {self.ready}")

    def _read(self):
        for line in self.process.stdout:
            # Programs may say other things before; answers are objects.
            if line.startswith("{"):
                self.lines.put(line)
        self.lines.put(None)

    def _answer(self):
        try:
            line = self.lines.get(timeout=self.timeout)
        except queue.Empty:
            raise Failure(f"{self.name} did not answer within {self.timeout:.0f} s") from None
        if line is None:
            raise Failure(f"{self.name} ended with exit code {self.process.wait()}; what it said is above")
        return json.loads(line)

    def turn(self, steps):
        """Milliseconds and losses of `steps` more steps."""
        try:
            self.process.stdin.write(f"{steps}\n")
            self.process.stdin.flush()
        except OSError:
            raise Failure(f"{self.name} ended with exit code {self.process.wait()}; what it said is above") from None
        answer = self._answer()
        if len(answer["ms"]) != steps or len(answer["losses"]) != steps:
            raise Failure(f"{self.name}: asked for {steps} steps, got {len(answer['ms'])}")
        return answer["ms"], answer["losses"]

    def end(self):
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def check(ours, peer, options):
    """Both curves, their largest relative difference, and each one's milliseconds after warming up."""
    curves, speeds = [], []
    for trainer in (ours, peer):
        times, losses = trainer.turn(CHECKED_STEPS)
        curves.append(losses)
        speeds.append(statistics.median(times[-2:]))
    difference = max(abs(a - b) / abs(a) for a, b in zip(*curves))
    tolerance = TOLERANCE[peer.ready["precision"]]
    if not all(math.isfinite(loss) for loss in curves[1]) or not difference <= tolerance:
        text = "\n".join(f"  {t.name:<14}" + "  ".join(f"{loss:.6f}" for loss in c) for t, c in zip((ours, peer), curves))
        raise Failure(f"the losses differ by {difference:.1e}, more than {tolerance:.0e}:\n{text}")
    return curves, difference, speeds


def same_model(ours, peer):
    for key in ("batch", "parameters"):
        if ours.ready[key] != peer.ready[key]:
            raise Failure(f"the models differ: {key} is {ours.ready[key]} and {peer.ready[key]} in {peer.name}")


def other_kernels(ours, peer):
    """Kernels that only one of two steps of ours launches, or how often each does where that differs."""
    if "kernels" not in peer.ready:
        return []
    counts = [trainer.ready["kernels"] for trainer in (ours, peer)]
    return [{"kernel": name, "unmask": counts[0].get(name, 0), "peer": counts[1].get(name, 0)}
            for name in sorted(counts[0].keys() | counts[1].keys()) if counts[0].get(name, 0) != counts[1].get(name, 0)]


def same_adapter(ours, peer):
    """Whether both run on one adapter, and a note where they do not. Only a peer on the processor may differ."""
    if ours.ready["adapter"] == peer.ready["adapter"]:
        return True, None
    # Browsers name the maker and the family alone.
    if any(word and word.lower() in ours.ready["adapter"].lower() for word in peer.ready.get("adapter_words", [])):
        return True, None
    if peer.ready.get("device") == "cpu":
        return False, f"{peer.name} ran on the processor itself, not on our adapter: no comparison of GPUs"
    raise Failure(f"we run on {ours.ready['adapter']!r}, but {peer.name} on {peer.ready['adapter']!r}")


def measure(options, case):
    say = (lambda *_: None) if options.json else (lambda text: print(text, file=sys.stderr, flush=True))
    ours_command = [options.ours, "bench", "--model", options.model, "--batch", str(options.batch), "--seed",
                    str(options.seed), "--turns", str(options.rate), "--dump", case, "--quiet"]
    if options.precision == "bf16":
        # 16-bit floats on both sides.
        ours_command += ["--precision", "mixed"]
    if options.adapter:
        ours_command += ["--adapter", options.adapter]
    filled = lambda words: [word.format(**vars(options)) for word in words] + ["--case", case]
    trainers = []
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    try:
        ours = Trainer("unmask", ours_command, options.timeout)
        trainers.append(ours)
        say(f"unmask    {ours.ready['version']} on {ours.ready['adapter']}, {ours.ready['driver']}")
        if options.peer in IN_BROWSERS:
            # It wrote the case, which is all that it is needed for.
            trainers.pop().end()
            ours = Trainer("unmask", filled(TAB), options.timeout)
            trainers.append(ours)
            say(f"unmask    in a browser: {ours.ready['variant']} on {ours.ready['adapter']}")
        peer = Trainer(options.peer, [*filled(PEERS[options.peer]), "--adapter", ours.ready["adapter"]], options.timeout)
        trainers.append(peer)
        say(f"{options.peer:<9} {peer.ready['version']} ({peer.ready['variant']}) on {peer.ready['adapter']}")
        same_model(ours, peer)
        shared, note = same_adapter(ours, peer)
        curves, difference, speeds = check(ours, peer, options)
        say(f"losses    agree to {difference:.1e} over {CHECKED_STEPS} steps: " + "  ".join(f"{x:.5f}" for x in curves[0]))
        steps = options.steps or max(1, min(MOST_STEPS, round(TURN_SECONDS * 1e3 / max(speeds))))
        pairs, times = [], ([], [])
        # The first pair warms up.
        for index in range(-1, options.pairs):
            order = (ours, peer) if index % 2 == 0 else (peer, ours)
            found = {trainer.name: trainer.turn(steps)[0] for trainer in order}
            medians = [statistics.median(found[trainer.name]) for trainer in (ours, peer)]
            if index >= 0:
                pairs.append(medians)
                times[0].extend(found[ours.name])
                times[1].extend(found[peer.name])
                say(f"pair {index + 1:>3}  unmask {medians[0]:.2f} ms, {peer.name} {medians[1]:.2f} ms")
    finally:
        for trainer in trainers:
            trainer.end()
    ratios = [peer_ms / our_ms for our_ms, peer_ms in pairs]
    our_ms, peer_ms = (statistics.median(ms) for ms in times)
    return {
        "model": options.model, "batch": options.batch, "peer": options.peer, "peer_variant": peer.ready["variant"],
        "adapter": ours.ready["adapter"], "driver": ours.ready["driver"], "peer_adapter": peer.ready["adapter"],
        "same_adapter": shared, "note": note, "other_kernels": other_kernels(ours, peer),
        "precision": {"unmask": ours.ready["precision"], "peer": peer.ready["precision"]},
        "versions": {"unmask": ours.ready["version"], "peer": peer.ready["version"]},
        "parameters": ours.ready["parameters"], "learning_rate": options.rate,
        "losses": {"unmask": curves[0], "peer": curves[1]}, "loss_difference": difference,
        "steps_a_turn": steps, "pairs": options.pairs, "load_before": load,
        "our_ms": our_ms, "peer_ms": peer_ms,
        "our_images_per_s": options.batch / our_ms * 1e3, "peer_images_per_s": options.batch / peer_ms * 1e3,
        "ratios": ratios, "speedup_over_peer": statistics.median(ratios),
    }


def show(result):
    ratios = result["ratios"]
    print(f"{result['model']} batch {result['batch']} on {result['adapter']}, {result['pairs']} pairs of "
          f"{result['steps_a_turn']} steps")
    rows = [("unmask", result["versions"]["unmask"], result["precision"]["unmask"], result["our_ms"],
             result["our_images_per_s"]),
            (result["peer"], result["versions"]["peer"], result["precision"]["peer"], result["peer_ms"],
             result["peer_images_per_s"])]
    print(f"  {'':<14} {'version':<14} {'numbers':<8} {'ms a step':>10} {'images/s':>10}")
    for name, version, precision, ms, speed in rows:
        print(f"  {name:<14} {version:<14} {precision:<8} {ms:>10.2f} {speed:>10.2f}")
    print(f"  speed-up over {result['peer']}: {result['speedup_over_peer']:.3f} "
          f"({min(ratios):.3f} to {max(ratios):.3f})")
    if result["note"]:
        print(f"  note: {result['note']}")
    for other in result["other_kernels"]:
        print(f"  note: {other['kernel']} is launched {other['unmask']} times, by {result['peer']} {other['peer']} times")


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.splitlines()[0])
    parser.add_argument("--peer", required=True, choices=sorted(PEERS), help="the other trainer")
    parser.add_argument("--model", default="micro", help="preset or recipe file [default: micro]")
    parser.add_argument("--batch", type=int, default=16, help="pictures a step [default: 16]")
    parser.add_argument("--pairs", type=int, default=7, help="turns of each that count [default: 7]")
    parser.add_argument("--steps", type=int, help=f"steps a turn [default: {TURN_SECONDS:.0f} s of the slower one's]")
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate of every step [default: 0.001]")
    parser.add_argument("--seed", type=int, default=0, help="of weights, pictures and masks [default: 0]")
    parser.add_argument("--precision", default="f32", choices=sorted(TOLERANCE), help="PyTorch's numbers; beside bf16 ours are mixed [default: f32]")
    parser.add_argument("--adapter", help="a part of the adapter's name, for both")
    parser.add_argument("--timeout", type=float, default=900, help="seconds that an answer may take [default: 900]")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--ours", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--program", default="", help=argparse.SUPPRESS)
    parser.add_argument("--python", default=sys.executable, help=argparse.SUPPRESS)
    parser.add_argument("--page", default="", help=argparse.SUPPRESS)
    parser.add_argument("--package", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pairs < 1 or options.batch < 1 or (options.steps is not None and options.steps < 1):
        parser.error("--pairs, --batch and --steps are at least 1")
    if options.precision != "f32" and "{precision}" not in PEERS[options.peer]:
        parser.error(f"{options.peer} runs in f32 only")
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = measure(options, str(Path(folder) / "case.safetensors"))
        except Failure as failure:
            print(f"error: {failure}", file=sys.stderr)
            return 1
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
