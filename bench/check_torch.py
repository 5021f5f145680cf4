#!/usr/bin/env python3
"""Compare the loss of a dumped benchmark step with PyTorch's for the same weights, pictures and noise.

    unmask bench --model base --batch 1 --steps 1 --dump base.safetensors
    pip install torch transformers safetensors numpy
    python bench/check_torch.py base.safetensors

The reference is `ViTMAEForPreTraining` of `transformers` in its current major version, in float64. Exits with 1 where
the losses differ by more than 1e-4 of the reference's.
"""
import json
import sys

import torch
from safetensors import safe_open
from transformers import ViTMAEConfig, ViTMAEForPreTraining

TOLERANCE = 1e-4


def main(path: str) -> int:
    with safe_open(path, "pt") as file:
        shape = json.loads(file.metadata()["model"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    config = ViTMAEConfig(
        image_size=shape["image_size"], patch_size=shape["patch_size"], num_channels=3, hidden_act="gelu", qkv_bias=True,
        hidden_size=shape["width"], num_hidden_layers=shape["depth"], num_attention_heads=shape["heads"],
        intermediate_size=shape["mlp"] or 4 * shape["width"],
        decoder_hidden_size=shape["decoder_width"], decoder_num_hidden_layers=shape["decoder_depth"],
        decoder_num_attention_heads=shape["decoder_heads"],
        decoder_intermediate_size=shape["decoder_mlp"] or 4 * shape["decoder_width"],
        mask_ratio=shape["mask_ratio"], norm_pix_loss=shape["norm_pix_loss"], layer_norm_eps=shape["layer_norm_eps"])
    config._attn_implementation = "eager"
    model = ViTMAEForPreTraining(config)
    weights = {name.removeprefix("param/"): tensor for name, tensor in tensors.items() if name.startswith("param/")}
    model.load_state_dict(weights, strict=True)
    model = model.double().eval()
    with torch.no_grad():
        out = model(tensors["input/pixel_values"].double(), noise=tensors["input/noise"][0].double())
    got, want = tensors["expect/loss"].item(), out.loss.item()
    error = abs(got - want) / abs(want)
    print(json.dumps({"file": path, "got": got, "want": want, "rel": error, "pass": error <= TOLERANCE}))
    return 0 if error <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
