#!/usr/bin/env python3
"""Load what `unmask convert` writes with the packages that it is written for, strictly, and compare what they compute.

    python check.py UNMASK FOLDER

UNMASK is the program, FOLDER holds what make.py wrote. Exits with 1 where anything differs.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from transformers import ViTMAEForPreTraining, ViTMAEModel

from make import CONFIG, DEPTH, HEADS, PATCH, SIDE, WIDTH, DECODER, hub_state

TOLERANCE = 1e-4


def main(program: str, folder: Path) -> int:
    expected = load_file(folder / "expected.safetensors")
    pixels, noise = expected["pixel_values"], expected["noise"]
    worst = 0.0

    def convert(source: str, to: str, out: Path) -> None:
        hints = ["--heads", str(HEADS), "--decoder-heads", str(DECODER["heads"]), "--norm-pix-loss", "true"]
        report = subprocess.run([program, "--json", "convert", str(folder / source), str(out), "--to", to, *hints],
                                check=True, capture_output=True, text=True).stdout
        assert not json.loads(report)["leftover"], report

    def compare(what: str, got: torch.Tensor, want: torch.Tensor) -> None:
        nonlocal worst
        off = (got - want).abs().max().item()
        worst = max(worst, off)
        print(f"{what}: off by {off:.1e}")

    with tempfile.TemporaryDirectory() as name, torch.no_grad():
        out = Path(name)
        for source in ["original_full.pth", "transformers5", "transformers5_sharded"]:
            convert(source, "hf", out / "hf")
            model, info = ViTMAEForPreTraining.from_pretrained(out / "hf", output_loading_info=True)
            assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
            assert model.config.norm_pix_loss and model.config.layer_norm_eps == CONFIG["layer_norm_eps"]
            made = model.eval()(pixel_values=pixels, noise=noise)
            compare(f"{source} -> hf, transformers {transformers.__version__}, pred", made.logits, expected["pred"])

            convert(source, "original", out / "original.pth")
            state = torch.load(out / "original.pth", weights_only=True)["model"]
            model.load_state_dict(rename(hub_state(state), model), strict=True)
            made = model(pixel_values=pixels, noise=noise)
            compare(f"{source} -> original, torch {torch.__version__}, pred", made.logits, expected["pred"])

        convert("original_encoder_views.pth", "hf", out / "encoder")
        encoder, info = ViTMAEModel.from_pretrained(out / "encoder", output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"], info
        latent = encoder.eval()(pixel_values=pixels, noise=noise).last_hidden_state
        compare("original_encoder_views.pth -> hf, latent", latent, expected["latent"])

        try:
            import timm
        except ImportError:
            print("timm is not installed: not compared")
        else:
            convert("transformers5", "timm", out / "timm.safetensors")
            kept = timm.models.vision_transformer.VisionTransformer(
                img_size=SIDE, patch_size=PATCH, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS, num_classes=0)
            kept.load_state_dict(load_file(out / "timm.safetensors"), strict=True)
            encoder.config.mask_ratio = 0.0
            # Without masking both see every patch; transformers shuffles them, the class token stays first.
            want = encoder(pixel_values=pixels, noise=noise).last_hidden_state[:, 0]
            compare(f"transformers5 -> timm {timm.__version__}, class token", kept.eval().forward_features(pixels)[:, 0], want)
    print(f"worst {worst:.1e}, tolerated {TOLERANCE:.0e}")
    return 0 if worst <= TOLERANCE else 1


def rename(hub: dict[str, torch.Tensor], model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The names on the hub as this version of transformers has them in memory."""
    wanted = model.state_dict().keys()
    if hub.keys() == wanted:
        return hub
    renamed = {}
    for name, value in hub.items():
        for old, new in [(".encoder.layer.", ".layers."), (".attention.attention.query.", ".attention.q_proj."),
                         (".attention.attention.key.", ".attention.k_proj."), (".attention.attention.value.", ".attention.v_proj."),
                         (".attention.output.dense.", ".attention.o_proj."), (".intermediate.dense.", ".mlp.fc1."),
                         (".output.dense.", ".mlp.fc2.")]:
            name = name.replace(old, new)
        renamed[name] = value
    return renamed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
