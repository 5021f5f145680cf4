#!/usr/bin/env python3
"""Write small checkpoints in the layouts of other programs, each by its own package, and what a model of them computes.

    pip install torch transformers timm safetensors numpy
    python make.py OUT_DIR

Run again with the former major version of transformers, it writes that version's folder beside the others. All
checkpoints hold the same weights; `expected.safetensors` holds a picture, noise and what `ViTMAEForPreTraining` makes of
them in float64.
"""
import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import ViTMAEConfig, ViTMAEForPreTraining

WIDTH, DEPTH, HEADS, PATCH, SIDE = 16, 2, 2, 8, 32
DECODER = dict(width=24, depth=1, heads=3)
CONFIG = dict(image_size=SIDE, patch_size=PATCH, hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS,
              intermediate_size=4 * WIDTH, decoder_hidden_size=DECODER["width"], decoder_num_hidden_layers=DECODER["depth"],
              decoder_num_attention_heads=DECODER["heads"], decoder_intermediate_size=4 * DECODER["width"], mask_ratio=0.75,
              norm_pix_loss=True, layer_norm_eps=1e-6)


def original_state() -> dict[str, torch.Tensor]:
    """Random weights under the original code's names, in its order."""
    gen = torch.Generator().manual_seed(7)
    state = {}

    def block(prefix: str, d: int) -> None:
        for name, shape in [("norm1.weight", (d,)), ("norm1.bias", (d,)), ("attn.qkv.weight", (3 * d, d)),
                            ("attn.qkv.bias", (3 * d,)), ("attn.proj.weight", (d, d)), ("attn.proj.bias", (d,)),
                            ("norm2.weight", (d,)), ("norm2.bias", (d,)), ("mlp.fc1.weight", (4 * d, d)),
                            ("mlp.fc1.bias", (4 * d,)), ("mlp.fc2.weight", (d, 4 * d)), ("mlp.fc2.bias", (d,))]:
            put(f"{prefix}.{name}", shape)

    def put(name: str, shape: tuple[int, ...]) -> None:
        values = torch.randn(shape, generator=gen) * (0.3 if len(shape) > 1 else 0.1)
        # Norms scale by about one.
        state[name] = values + 1.0 if "norm" in name and name.endswith("weight") else values

    d, e, tokens, numbers = WIDTH, DECODER["width"], (SIDE // PATCH) ** 2, PATCH * PATCH * 3
    put("cls_token", (1, 1, d))
    put("pos_embed", (1, tokens + 1, d))
    put("mask_token", (1, 1, e))
    put("decoder_pos_embed", (1, tokens + 1, e))
    put("patch_embed.proj.weight", (d, 3, PATCH, PATCH))
    put("patch_embed.proj.bias", (d,))
    for i in range(DEPTH):
        block(f"blocks.{i}", d)
    put("norm.weight", (d,))
    put("norm.bias", (d,))
    put("decoder_embed.weight", (e, d))
    put("decoder_embed.bias", (e,))
    for i in range(DECODER["depth"]):
        block(f"decoder_blocks.{i}", e)
    put("decoder_norm.weight", (e,))
    put("decoder_norm.bias", (e,))
    put("decoder_pred.weight", (numbers, e))
    put("decoder_pred.bias", (numbers,))
    return state


def hub_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same under the names on the hub."""
    hub = {}
    for name, value in state.items():
        decoder = name.startswith("decoder") or name == "mask_token"
        name = name.replace("decoder_blocks.", "decoder_layers.").replace("blocks.", "encoder.layer.")
        name = name.replace("norm1", "layernorm_before").replace("norm2", "layernorm_after")
        name = name.replace("attn.proj", "attention.output.dense")
        name = name.replace("mlp.fc1", "intermediate.dense").replace("mlp.fc2", "output.dense")
        name = name.replace("cls_token", "embeddings.cls_token").replace("patch_embed.proj", "embeddings.patch_embeddings.projection")
        if name == "pos_embed":
            name = "embeddings.position_embeddings"
        if name in ("norm.weight", "norm.bias"):
            name = f"layer{name}"
        name = f"decoder.{name}" if decoder else f"vit.{name}"
        if "attn.qkv" in name:
            for part, third in zip(("query", "key", "value"), value.chunk(3)):
                hub[name.replace("attn.qkv", f"attention.attention.{part}")] = third.clone()
        else:
            hub[name] = value.clone()
    return hub


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    state = original_state()
    encoder = {name: value for name, value in state.items() if not name.startswith("decoder") and name != "mask_token"}
    config = ViTMAEConfig(**CONFIG)
    config._attn_implementation = "eager"
    staged = out / "staged"
    staged.mkdir()
    config.save_pretrained(staged)
    save_file(hub_state(state), staged / "model.safetensors", metadata={"format": "pt"})
    model, info = ViTMAEForPreTraining.from_pretrained(staged, output_loading_info=True, attn_implementation="eager")
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    shutil.rmtree(staged)

    major = transformers.__version__.split(".")[0]
    model.save_pretrained(out / f"transformers{major}")
    if major == "4":
        model.save_pretrained(out / f"transformers{major}_bin", safe_serialization=False)
        return
    model.save_pretrained(out / f"transformers{major}_sharded", max_shard_size="40KB")
    model.vit.save_pretrained(out / f"transformers{major}_encoder")

    torch.save({"model": state}, out / "original_full.pth")
    torch.save({"model": {n: v.half() for n, v in encoder.items()}}, out / "original_encoder_f16.pth")
    torch.save({"model": {n: v.bfloat16() for n, v in state.items()}, "epoch": 3, "args": {"blr": 1e-3}},
               out / "original_full_bf16_legacy.pth", _use_new_zipfile_serialization=False)
    # Views of one storage, one of them transposed, as a state dict of a live model may hold.
    shared = dict(encoder)
    shared["blocks.0.attn.proj.weight"] = encoder["blocks.0.attn.proj.weight"].t().contiguous().t()
    torch.save(shared, out / "original_encoder_views.pth")

    if importlib.util.find_spec("timm"):
        import timm
        kept = timm.models.vision_transformer.VisionTransformer(
            img_size=SIDE, patch_size=PATCH, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS, num_classes=0)
        kept.load_state_dict(encoder, strict=True)
        save_file(kept.state_dict(), out / "timm.safetensors")

    gen = torch.Generator().manual_seed(8)
    pixels = torch.randn(2, 3, SIDE, SIDE, generator=gen, dtype=torch.float64)
    noise = torch.tensor(np.random.default_rng(9).random((2, (SIDE // PATCH) ** 2)))
    model = model.double().eval()
    with torch.no_grad():
        made = model(pixel_values=pixels, noise=noise)
        latent = model.vit(pixel_values=pixels, noise=noise).last_hidden_state
    save_file({"pixel_values": pixels.float(), "noise": noise.float(), "pred": made.logits.float().contiguous(),
               "latent": latent.float().contiguous(), "loss": made.loss.float().reshape(1)}, out / "expected.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
