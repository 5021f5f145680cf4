"""Compiles every kernel for adapters that need not be there, and tells which of them spill registers.

    python3 run.py FOLDER [DRIVER …] [--all]

FOLDER is what `UNMASK_TRANSLATED=FOLDER cargo test --test shaders` wrote. For each driver only the kernels count that the
engine would give to such an adapter; --all takes every one that it can compile. See README.md for what must be installed.
"""

import os
import re
import selectors
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
# Seconds that a driver may take for one kernel.
PATIENCE = 120
# Numbers that a driver keeps in memory: how often it writes one there, and how often it reads one again.
SPILLS = {
    "Spills", "Fills", "Spills to memory", "Fills from memory", "Spilled VGPRs", "STP Count", "LDP Count",
}
MANY, FEW = "many", "few"


def shim(name):
    """The environment in which Mesa finds an adapter of a kind without the adapter."""
    return {"LD_PRELOAD": str(LIBRARIES / f"lib{name}_noop_drm_shim.so")}


def intel(platform):
    library = os.environ.get("INTEL_SHIM", str(LIBRARIES / "libintel_noop_drm_shim.so"))
    return {"LD_PRELOAD": library, "INTEL_STUB_GPU_PLATFORM": platform}


# Driver: its ICD, its environment, whether invocations have many registers or few, and what it is left out of.
DRIVERS = {
    "intel-tgl": ("intel", intel("tgl"), FEW, "cooperative"),
    "intel-dg2": ("intel", intel("dg2"), FEW, "cooperative"),
    "intel-lnl": ("intel", intel("lnl"), FEW, "cooperative"),
    "apple-m1": ("asahi", shim("asahi"), FEW, "cooperative"),
    # This one has no 16-bit storage in Mesa.
    "adreno-630": ("freedreno", shim("freedreno"), FEW, "cooperative|in_16_bits"),
    "nvidia-turing": ("nouveau", {**shim("nouveau"), "NOUVEAU_CHIPSET": "162"}, MANY, "LANES=(8|64)|SIDE_8|cooperative_in"),
    "nvidia-ada": ("nouveau", {**shim("nouveau"), "NOUVEAU_CHIPSET": "192"}, MANY, "LANES=(8|64)|SIDE_8|cooperative_in"),
    # Subgroups of 64 are what its compiler takes for kernels on matrix units.
    "amd-navi31": ("radeon", {**shim("amdgpu"), "AMDGPU_GPU_ID": "navi31"}, MANY, "LANES=(8|32)|SIDE_8|cooperative_in"),
    "amd-vega10": ("radeon", {**shim("amdgpu"), "AMDGPU_GPU_ID": "vega10"}, MANY, "cooperative"),
    "amd-renoir": ("radeon", {**shim("amdgpu"), "AMDGPU_GPU_ID": "renoir"}, MANY, "cooperative"),
}


def number(name, constant):
    found = re.search(rf"_{constant}=(\d+)", name)
    return int(found[1]) if found else 0


def is_given(name, registers, left_out):
    """Whether the engine may give the kernel to an adapter; products in every tile, since these are measured there."""
    if re.search(rf"broadcast|_direct|peak_|DIRECT|{left_out}", name):
        return False
    # Shaders as they are linked have small constants that no op leaves alone.
    if re.match(r"(matmul|attention)", name) and "=" not in name:
        return False
    if "cooperative" in name and not ("SIDE_16" in name or number(name, "SIDE") == 16):
        return False
    if registers == MANY:
        return number(name, "ROLLED") == 0
    # Those that `few_registers` leaves: see src/ops/attention_tiled.rs, src/ops/layer_norm.rs and src/ops/tile.rs.
    if number(name, "QUADS_M") * number(name, "QUADS_N") > 4:
        return False
    sums = number(name, "SUM_ROWS") * number(name, "SUM_COLUMNS")
    own = number(name, "SUM_ROWS") * number(name, "TEAM") // max(number(name, "ACROSS"), 1)
    if name.startswith("attention_gradient_D4") or name.startswith("attention_gradient+QUERIES_D4"):
        return sums <= 6 and own <= 24
    if name.startswith("attention_D4"):
        return sums <= 5 and own <= 32
    return "COLUMNS" not in name or number(name, "HELD_VECTORS") <= 4


def results(files, environment, adapter):
    """Yields a dictionary for each kernel, starting the compiler again where it crashes or hangs."""
    while files:
        process = subprocess.Popen(
            [HERE / "compile"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        done, line, last = 0, b"", time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                # One at a time: what waits in a pipe would be lost with a crash.
                if line == b"" and done < len(files):
                    process.stdin.write(f"{files[done]}\n".encode())
                    process.stdin.flush()
                    line = None
                if not selector.select(timeout=PATIENCE):
                    process.kill()
                    yield {"name": files[done].stem, "failure": f"hangs for {PATIENCE} s"}
                    break
                read = process.stdout.readline().decode()
                if not read.endswith("\n") and not adapter:
                    return
                if not read.endswith("\n"):
                    yield {"name": files[done].stem, "failure": "crashes the driver"}
                    break
                if read.startswith("ADAPTER "):
                    adapter.append(read[len("ADAPTER ") :].strip())
                    continue
                fields = dict(field.split("=", 1) for field in read.strip().split(";")[1:])
                failure = None if fields["result"] == "0" else f"VkResult {fields['result']}"
                spills = sum(int(float(value)) for name, value in fields.items() if name in SPILLS)
                yield {"name": files[done].stem, "failure": failure, "spills": spills, **fields}
                done, line = done + 1, b""
                if done == len(files):
                    process.stdin.close()
                    process.wait()
                    return
        process.wait()
        files = files[done + 1 :]


def tile(name):
    found = re.match(r"matmul\+.*?_TILE_M=(\d+)_TILE_N=(\d+)_TILE_K=(\d+)_QUADS_M=(\d)_QUADS_N=(\d)", name)
    if found is None:
        return None
    twice, rolled = number(name, "BUFFERS") == 2, number(name, "ROLLED") == 1
    return "{}x{}x{} quads {}x{}".format(*found.groups()) + " twice" * twice + " rolled" * rolled


def report(driver, folder, everything):
    icd, extra, registers, left_out = DRIVERS[driver]
    manifest = Path(f"/usr/share/vulkan/icd.d/{icd}_icd.json")
    environment = {**os.environ, "VK_DRIVER_FILES": str(manifest), "MESA_SHADER_CACHE_DISABLE": "true", **extra}
    files = sorted(folder.glob("*.spv"))
    files = [file for file in files if is_given(file.stem, registers, left_out) or (everything and not re.search(left_out, file.stem))]
    start, adapter = time.monotonic(), []
    found = list(results(files, environment, adapter))
    if not adapter:
        print(f"\n{driver}: no adapter; see README.md for what must be installed")
        return True
    print(f"\n{driver}: {adapter[0]}, {len(found)} kernels in {time.monotonic() - start:.0f} s")
    for each in found:
        if each["failure"]:
            print(f"  fails: {each['name']}: {each['failure']}")
    compiled = [each for each in found if not each["failure"]]
    slowest = max(compiled, key=lambda each: float(each["seconds"]), default=None)
    if slowest:
        print(f"  slowest: {slowest['seconds']} s, {slowest['name']}")
    families = {}
    for each in compiled:
        family = tile(each["name"]) or re.match(r"[a-z_]+?(?=_[A-Z]|\+|$|_in_16)", each["name"])[0]
        families.setdefault(family, []).append(each)
    for family, members in families.items():
        spilling = [each for each in members if each["spills"]]
        if spilling:
            worst = max(spilling, key=lambda each: each["spills"])
            print(f"  {family}: {len(spilling)} of {len(members)} spill, at most {worst['spills']}: {worst['name']}")
    clean = [family for family, members in families.items() if not any(each["spills"] for each in members)]
    print(f"  none spills of: {', '.join(clean)}")
    return any(each["failure"] for each in found)


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--all"]
    if not arguments:
        sys.exit(__doc__)
    folder, drivers = Path(arguments[0]), arguments[1:] or list(DRIVERS)
    unknown = [driver for driver in drivers if driver not in DRIVERS]
    if unknown or not any(folder.glob("*.spv")):
        sys.exit(f"no driver {unknown[0]}: {', '.join(DRIVERS)}" if unknown else f"{folder}: no SPIR-V there")
    sys.stdout.reconfigure(line_buffering=True)
    build = ["cc", "-Wall", "-Wextra", "-O1", "-o", HERE / "compile", HERE / "compile.c", "-lvulkan"]
    subprocess.run(build, check=True)
    failed = [report(driver, folder, "--all" in sys.argv) for driver in drivers]
    sys.exit(any(failed))


if __name__ == "__main__":
    main()
