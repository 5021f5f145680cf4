#!/usr/bin/env python3
"""Run what `unmask convert --to onnx` writes in ONNX Runtime, and compare with what PyTorch computed.

    python check_onnx.py UNMASK FOLDER

UNMASK is the program, FOLDER holds what make.py wrote. Exits with 1 where anything differs.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.torch import load_file
from transformers import ViTMAEModel

TOLERANCE = 1e-4


def main(program: str, folder: Path) -> int:
    expected = load_file(folder / "expected.safetensors")
    pixels, noise = expected["pixel_values"].numpy(), expected["noise"].numpy()
    worst = 0.0

    def session(out: Path, *options: str) -> onnxruntime.InferenceSession:
        subprocess.run([program, "--quiet", "convert", str(folder / "transformers5"), str(out), "--to", "onnx", *options],
                       check=True)
        onnx.checker.check_model(str(out), full_check=True)
        return onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])

    def compare(what: str, got: np.ndarray, want: np.ndarray) -> None:
        nonlocal worst
        off = float(np.abs(got - want).max()) if got.shape == want.shape else float("inf")
        worst = max(worst, off)
        print(f"{what}: off by {off:.1e}")

    with tempfile.TemporaryDirectory() as name, torch.no_grad():
        whole = session(Path(name) / "whole.onnx", "--whole")
        encoder = session(Path(name) / "encoder.onnx")
        reference = ViTMAEModel.from_pretrained(folder / "transformers5", mask_ratio=0.0).eval()
        # In order of the patches, so that nothing is shuffled.
        order = torch.arange(noise.shape[1], dtype=torch.float32)
        for count in [1, 3]:
            rows = np.arange(count) % len(pixels)
            some, drawn = pixels[rows], noise[rows]
            logits, mask, ids = whole.run(["logits", "mask", "ids_restore"], {"pixel_values": some, "noise": drawn})
            compare(f"onnx, whole, batch {count}, logits", logits, expected["pred"].numpy()[rows])
            ranks = drawn.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
            compare(f"onnx, whole, batch {count}, ids_restore", ids, ranks)
            visible = expected["latent"].shape[1] - 1
            compare(f"onnx, whole, batch {count}, mask", mask, (ranks >= visible).astype(np.float32))
            (features,) = encoder.run(["last_hidden_state"], {"pixel_values": some})
            want = reference(pixel_values=torch.from_numpy(some), noise=order.expand(count, -1)).last_hidden_state
            compare(f"onnx, encoder, batch {count}, last_hidden_state", features, want.numpy())
    print(f"onnx {onnx.__version__}, ONNX Runtime {onnxruntime.__version__}: worst {worst:.1e}, tolerated {TOLERANCE:.0e}")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
