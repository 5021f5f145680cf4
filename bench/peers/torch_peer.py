#!/usr/bin/env python3
"""A masked autoencoder in PyTorch, timed step by step beside Unmask's.

`torch_peer.py --case FILE [--compile] [--precision f32|tf32|bf16] [--threads N]` reads weights, pictures and noise that
`unmask bench --turns --dump` wrote, prints a line of JSON when it is ready, then answers every line `N` on stdin with
the times and losses of N more optimiser steps. It needs torch only, and runs on CUDA where there is some.
"""
import argparse
import json
import struct
import sys
import time

import torch
from torch import nn
from torch.nn import functional


def read_case(path):
    """Tensors and metadata of a safetensors file of f32."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    metadata = {key: json.loads(text) for key, text in header.pop("__metadata__").items() if key in ("model", "optimiser")}
    tensors = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32", f"{name} is {entry['dtype']}, expected F32"
        start, end = entry["data_offsets"]
        values = torch.frombuffer(data, dtype=torch.float32, count=(end - start) // 4, offset=start)
        tensors[name] = values.reshape(entry["shape"]).clone()
    return metadata, tensors


class Block(nn.Module):
    def __init__(self, width, heads, mlp, eps):
        super().__init__()
        self.heads = heads
        self.before, self.after = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, mlp), nn.Linear(mlp, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        qkv = self.qkv(self.before(x)).view(batch, tokens, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.fc2(functional.gelu(self.fc1(self.after(x))))

    def load(self, name, case):
        part = lambda names, kind: torch.cat([case[f"param/{name}.{each}.{kind}"] for each in names])
        layers = {
            "before": ["layernorm_before"], "after": ["layernorm_after"], "out": ["attention.o_proj"], "fc1": ["mlp.fc1"],
            "fc2": ["mlp.fc2"], "qkv": [f"attention.{which}_proj" for which in "qkv"],
        }
        for layer, names in layers.items():
            copy(getattr(self, layer), part(names, "weight"), part(names, "bias"))


def copy(layer, weight, bias):
    with torch.no_grad():
        assert weight.numel() == layer.weight.numel() and bias.shape == layer.bias.shape
        layer.weight.copy_(weight.reshape(layer.weight.shape))
        layer.bias.copy_(bias)


class Autoencoder(nn.Module):
    def __init__(self, shape, case):
        super().__init__()
        self.shape = shape
        self.patch, self.grid = shape["patch_size"], shape["image_size"] // shape["patch_size"]
        self.count = self.grid ** 2
        self.visible = max(1, int(self.count * (1 - shape["mask_ratio"])))
        length, width, small, eps = 3 * self.patch ** 2, shape["width"], shape["decoder_width"], shape["layer_norm_eps"]
        mlp, small_mlp = shape["mlp"] or 4 * width, shape["decoder_mlp"] or 4 * small
        self.embedding = nn.Linear(length, width)
        self.encoder = nn.ModuleList(Block(width, shape["heads"], mlp, eps) for _ in range(shape["depth"]))
        self.encoder_norm = nn.LayerNorm(width, eps)
        self.decoder_embed = nn.Linear(width, small)
        self.decoder = nn.ModuleList(
            Block(small, shape["decoder_heads"], small_mlp, eps) for _ in range(shape["decoder_depth"]))
        self.decoder_norm = nn.LayerNorm(small, eps)
        self.pred = nn.Linear(small, length)
        self.class_token = nn.Parameter(case["param/vit.embeddings.cls_token"])
        self.hidden = nn.Parameter(case["param/decoder.mask_token"])
        self.register_buffer("positions", case["param/vit.embeddings.position_embeddings"])
        self.register_buffer("decoder_positions", case["param/decoder.decoder_pos_embed"])
        for layer, name in [(self.embedding, "vit.embeddings.patch_embeddings.projection"),
                            (self.encoder_norm, "vit.layernorm"), (self.decoder_embed, "decoder.decoder_embed"),
                            (self.decoder_norm, "decoder.decoder_norm"), (self.pred, "decoder.decoder_pred")]:
            copy(layer, case[f"param/{name}.weight"], case[f"param/{name}.bias"])
        for name, blocks in [("vit.layers", self.encoder), ("decoder.decoder_layers", self.decoder)]:
            for index, block in enumerate(blocks):
                block.load(f"{name}.{index}", case)

    def forward(self, image, noise):
        batch, grid, patch = image.shape[0], self.grid, self.patch
        shuffled = noise.argsort(1)
        restore = shuffled.argsort(1)
        rows = lambda x, ids: x.gather(1, ids[:, :, None].expand(-1, -1, x.shape[2]))
        keep = shuffled[:, : self.visible]
        patches = image.view(batch, 3, grid, patch, grid, patch)
        # As Unmask does it, hidden patches are dropped before the projection.
        pixels = patches.permute(0, 2, 4, 1, 3, 5).reshape(batch, self.count, -1)
        tokens = self.embedding(rows(pixels, keep)) + rows(self.positions[:, 1:].expand(batch, -1, -1), keep)
        x = torch.cat([(self.class_token + self.positions[:, :1]).expand(batch, -1, -1), tokens], 1)
        for block in self.encoder:
            x = block(x)
        x = self.decoder_embed(self.encoder_norm(x))
        hidden = self.hidden.expand(batch, self.count - self.visible, -1).to(x.dtype)
        x = torch.cat([x[:, :1], rows(torch.cat([x[:, 1:], hidden], 1), restore)], 1) + self.decoder_positions
        for block in self.decoder:
            x = block(x)
        pred = self.pred(self.decoder_norm(x)[:, 1:])
        target = patches.permute(0, 2, 4, 3, 5, 1).reshape(batch, self.count, -1)
        if self.shape["norm_pix_loss"]:
            target = (target - target.mean(2, keepdim=True)) / (target.var(2, keepdim=True) + 1e-6).sqrt()
        mask = (restore >= self.visible).float()
        return ((pred.float() - target).square().mean(2) * mask).sum() / mask.sum()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", required=True)
    parser.add_argument("--adapter", help="our adapter, which is not chosen by name here")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--precision", default="f32", choices=["f32", "tf32", "bf16"])
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cuda = device.type == "cuda"
    if options.precision == "tf32" and not cuda:
        sys.exit("tf32 needs CUDA")
    torch.set_float32_matmul_precision("highest" if options.precision == "f32" else "high")
    torch.backends.cudnn.allow_tf32 = options.precision != "f32"

    metadata, case = read_case(options.case)
    if metadata["model"]["encoder_sees_masks"]:
        sys.exit("encoder_sees_masks is not done here")
    model = Autoencoder(metadata["model"], case).to(device)
    image, noise = case["input/pixel_values"].to(device), case["input/noise"][0].to(device)
    adamw, rate = metadata["optimiser"]["adamw"], metadata["optimiser"]["rate"]
    groups = [{"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": adamw["weight_decay"]},
              {"params": [p for p in model.parameters() if p.ndim == 1], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=rate, betas=(adamw["beta1"], adamw["beta2"]), eps=adamw["eps"], fused=True)
    compute = torch.compile(model) if options.compile else model

    def say(value):
        print(json.dumps(value), flush=True)

    say({
        "ready": True, "name": "torch", "version": torch.__version__, "device": device.type,
        "adapter": torch.cuda.get_device_name() if cuda else "the processor",
        "variant": ", ".join(["compiled" if options.compile else "eager", options.precision,
                              *([] if cuda else [f"{torch.get_num_threads()} threads"])]),
        "precision": options.precision, "batch": image.shape[0],
        "parameters": sum(p.numel() for p in model.parameters()),
    })
    for line in sys.stdin:
        times, losses = [], []
        for _ in range(int(line)):
            start = time.perf_counter()
            with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16"):
                loss = compute(image, noise)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            losses.append(loss.item())
            if cuda:
                torch.cuda.synchronize()
            times.append((time.perf_counter() - start) * 1e3)
        say({"ms": times, "losses": losses})


if __name__ == "__main__":
    main()
