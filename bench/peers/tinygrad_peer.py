#!/usr/bin/env python3
"""A masked autoencoder in tinygrad on its WebGPU backend, timed step by step beside Unmask's.

`tinygrad_peer.py --case FILE` reads weights, pictures and noise that `unmask bench --turns --dump` wrote, prints a line
of JSON when it is ready, then answers every line `N` on stdin with the times and losses of N more optimiser steps. It
needs tinygrad and dawn-python, whose library of Dawn is its WebGPU. The step is one `TinyJit`: forward, backward, AdamW.
"""
import argparse
import json
import math
import os
import struct
import sys
import sysconfig
import time
from pathlib import Path

os.environ.setdefault("DEV", "WEBGPU")
if "WEBGPU_PATH" not in os.environ:
    libraries = Path(sysconfig.get_paths()["purelib"], "pydawn", "lib")
    machine = "aarch64" if os.uname().machine in ("aarch64", "arm64") else "x86_64"
    os.environ["WEBGPU_PATH"] = str(libraries / f"libwebgpu_dawn_{machine}.so")

import numpy
from importlib.metadata import version
from tinygrad import Device, Tensor, TinyJit, nn
from tinygrad.helpers import Context
from tinygrad.nn.optim import AdamW, OptimizerGroup


def read_case(path):
    """Tensors and metadata of a safetensors file of f32."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    metadata = {key: json.loads(text) for key, text in header.pop("__metadata__").items() if key in ("model", "optimiser")}
    tensors = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32", f"{name} is {entry['dtype']}, expected F32"
        start, end = entry["data_offsets"]
        tensors[name] = numpy.frombuffer(data[start:end], numpy.float32).reshape(entry["shape"])
    return metadata, tensors


def linear(weight, bias):
    layer = nn.Linear(math.prod(weight.shape[1:]), weight.shape[0])
    layer.weight, layer.bias = Tensor(weight.reshape(weight.shape[0], -1).copy()), Tensor(bias.copy())
    return layer


def norm(weight, bias, eps):
    layer = nn.LayerNorm(weight.shape[0], eps)
    layer.weight, layer.bias = Tensor(weight.copy()), Tensor(bias.copy())
    return layer


class Block:
    def __init__(self, case, name, heads, eps):
        self.heads = heads
        of = lambda part: (case[f"param/{name}.{part}.weight"], case[f"param/{name}.{part}.bias"])
        self.before, self.after = norm(*of("layernorm_before"), eps), norm(*of("layernorm_after"), eps)
        three = [of(f"attention.{which}_proj") for which in "qkv"]
        self.qkv = linear(*(numpy.concatenate(parts) for parts in zip(*three)))
        self.out, self.fc1, self.fc2 = linear(*of("attention.o_proj")), linear(*of("mlp.fc1")), linear(*of("mlp.fc2"))

    def __call__(self, x):
        batch, tokens, width = x.shape
        qkv = self.qkv(self.before(x)).reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = qkv[0].scaled_dot_product_attention(qkv[1], qkv[2])
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.fc2(self.fc1(self.after(x)).gelu(approximate="none"))


class Autoencoder:
    def __init__(self, shape, case):
        self.shape, eps = shape, shape["layer_norm_eps"]
        self.patch, self.grid = shape["patch_size"], shape["image_size"] // shape["patch_size"]
        self.count = self.grid ** 2
        self.visible = max(1, int(self.count * (1 - shape["mask_ratio"])))
        of = lambda part: (case[f"param/{part}.weight"], case[f"param/{part}.bias"])
        self.embedding = linear(*of("vit.embeddings.patch_embeddings.projection"))
        self.encoder = [Block(case, f"vit.layers.{i}", shape["heads"], eps) for i in range(shape["depth"])]
        self.encoder_norm = norm(*of("vit.layernorm"), eps)
        self.decoder_embed = linear(*of("decoder.decoder_embed"))
        self.decoder = [Block(case, f"decoder.decoder_layers.{i}", shape["decoder_heads"], eps)
                        for i in range(shape["decoder_depth"])]
        self.decoder_norm, self.pred = norm(*of("decoder.decoder_norm"), eps), linear(*of("decoder.decoder_pred"))
        self.class_token = Tensor(case["param/vit.embeddings.cls_token"].copy())
        self.hidden = Tensor(case["param/decoder.mask_token"].copy())
        self.positions = Tensor(case["param/vit.embeddings.position_embeddings"].copy())
        self.decoder_positions = Tensor(case["param/decoder.decoder_pos_embed"].copy())

    def parameters(self):
        fixed = (self.positions, self.decoder_positions)
        return [p for p in nn.state.get_parameters(self) if not any(p is other for other in fixed)]

    def __call__(self, image, keep, restore):
        """`keep` are the visible patches [batch, visible], `restore` where each patch went [batch, count]."""
        batch, grid, patch = image.shape[0], self.grid, self.patch
        rows = lambda x, ids: x.gather(1, ids.reshape(*ids.shape, 1).expand(-1, -1, x.shape[2]))
        patches = image.reshape(batch, 3, grid, patch, grid, patch)
        # As Unmask does it, hidden patches are dropped before the projection.
        pixels = patches.permute(0, 2, 4, 1, 3, 5).reshape(batch, self.count, -1)
        tokens = self.embedding(rows(pixels, keep)) + rows(self.positions[:, 1:].expand(batch, -1, -1), keep)
        x = (self.class_token + self.positions[:, :1]).expand(batch, -1, -1).cat(tokens, dim=1)
        for block in self.encoder:
            x = block(x)
        x = self.decoder_embed(self.encoder_norm(x))
        hidden = self.hidden.expand(batch, self.count - self.visible, -1)
        x = x[:, :1].cat(rows(x[:, 1:].cat(hidden, dim=1), restore), dim=1) + self.decoder_positions
        for block in self.decoder:
            x = block(x)
        pred = self.pred(self.decoder_norm(x)[:, 1:])
        target = patches.permute(0, 2, 4, 3, 5, 1).reshape(batch, self.count, -1)
        if self.shape["norm_pix_loss"]:
            target = (target - target.mean(2, keepdim=True)) / (target.var(2, keepdim=True) + 1e-6).sqrt()
        mask = (restore >= self.visible).float()
        return ((pred - target).square().mean(2) * mask).sum() / mask.sum()


def adapter_name():
    """What Dawn calls the adapter that tinygrad takes: the first one."""
    from tinygrad.runtime import ops_webgpu as backend

    wanted = backend.webgpu.WGPURequestAdapterOptions(
        powerPreference=backend.webgpu.WGPUPowerPreference_HighPerformance,
        backendType=backend.backend_types.get(os.environ.get("WEBGPU_BACKEND", ""), 0))
    adapter = backend.InstanceRequestAdapter(backend.instance, wanted)
    backend.webgpu.wgpuAdapterGetInfo(adapter, info := backend.webgpu.WGPUAdapterInfo())
    name = backend.from_wgpu_str(info.device)
    backend.webgpu.wgpuAdapterRelease(adapter)
    return name


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", required=True)
    parser.add_argument("--adapter", help="our adapter, which cannot be chosen by name here")
    options = parser.parse_args()
    metadata, case = read_case(options.case)
    if metadata["model"]["encoder_sees_masks"]:
        sys.exit("encoder_sees_masks is not done here")
    model = Autoencoder(metadata["model"], case)
    image = Tensor(case["input/pixel_values"].copy()).realize()
    # Sorted once: tinygrad's own sort is hundreds of kernels.
    order = case["input/noise"][0].argsort(1, kind="stable")
    keep = Tensor(order[:, : model.visible].astype(numpy.int32)).realize()
    restore = Tensor(order.argsort(1, kind="stable").astype(numpy.int32)).realize()
    adamw, rate = metadata["optimiser"]["adamw"], metadata["optimiser"]["rate"]
    parameters = model.parameters()
    settings = {"lr": rate, "b1": adamw["beta1"], "b2": adamw["beta2"], "eps": adamw["eps"]}
    optimiser = OptimizerGroup(
        AdamW([p for p in parameters if p.ndim > 1], weight_decay=adamw["weight_decay"], **settings),
        AdamW([p for p in parameters if p.ndim == 1], weight_decay=0.0, **settings))

    @TinyJit
    @Context(TRAINING=1)
    def step():
        optimiser.zero_grad()
        loss = model(image, keep, restore)
        loss.backward()
        return loss.realize(*optimiser.schedule_step())

    def say(value):
        print(json.dumps(value), flush=True)

    say({
        "ready": True, "name": "tinygrad", "version": version("tinygrad"), "device": Device.DEFAULT,
        "adapter": adapter_name(), "variant": f"WebGPU (Dawn), TinyJit, BEAM={os.environ.get('BEAM', '0')}", "precision": "f32",
        "batch": image.shape[0], "parameters": sum(math.prod(p.shape) for p in parameters),
    })
    for line in sys.stdin:
        times, losses = [], []
        for _ in range(int(line)):
            start = time.perf_counter()
            losses.append(step().item())
            times.append((time.perf_counter() - start) * 1e3)
        say({"ms": times, "losses": losses})


if __name__ == "__main__":
    main()
