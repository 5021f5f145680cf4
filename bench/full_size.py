"""Loads randomly initialised ViT-B, L and H in every layout and rebuilds a picture with each:

    python bench/full_size.py UNMASK PICTURE FOLDER [base large huge]

Needs torch and transformers. Prints the bytes of each file, seconds, and peak memory as a multiple of the file. On a
software adapter that memory holds the "GPU's" copy of the weights too.
"""

import json
import os
import pathlib
import resource
import subprocess
import sys
import time

SHAPES = {"base": (768, 12, 12, 16), "large": (1024, 24, 16, 16), "huge": (1280, 32, 16, 14)}


def write(name, folder):
    import torch
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    width, depth, heads, patch = SHAPES[name]
    torch.manual_seed(0)
    config = ViTMAEConfig(hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads,
                          intermediate_size=4 * width, patch_size=patch, layer_norm_eps=1e-6)
    ViTMAEForPreTraining(config).save_pretrained(folder)


def size(path):
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def run(command):
    start = time.time()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    return output, time.time() - start, usage.ru_maxrss * 1024


def main():
    unmask, picture, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[4:] or SHAPES:
        hf = folder / f"{name}-hf"
        if not hf.exists():
            # In a process of its own: what PyTorch holds is not ours.
            subprocess.run([sys.executable, __file__, "--write", name, hf], check=True)
        layouts = {"hf": hf}
        for layout, file in [("original", f"{name}.pth"), ("native", f"{name}.safetensors")]:
            layouts[layout] = folder / file
            _, seconds, peak = run([unmask, "convert", hf, layouts[layout], "--to", layout])
            print(f"{name:6} to {layout:9} {seconds:6.1f} s, peak {peak / 1e6:7.0f} MB", flush=True)
        results = {}
        for layout, path in layouts.items():
            out = folder / "strip.png"
            output, seconds, peak = run([unmask, "reconstruct", picture, "--weights", path, "--out", out, "--json"])
            results[layout] = json.loads(output)["hidden_mse"]
            print(f"{name:6} {layout:12} {size(path) / 1e6:7.0f} MB, {seconds:6.1f} s, peak {peak / 1e6:7.0f} MB, "
                  f"{peak / size(path):.2f} times the file, hidden mse {results[layout]:.6f}", flush=True)
        assert len(set(results.values())) == 1, results


if __name__ == "__main__":
    if sys.argv[1] == "--write":
        write(sys.argv[2], sys.argv[3])
    else:
        main()
