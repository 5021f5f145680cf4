#!/usr/bin/env bash
# What docs/performance.md tells of a graphics card, measured in one go: the self-test, a step of `base` and `large` in f32
# and mixed precision, every tile, and PyTorch and Burn beside us.
#
# usage: bench/card.sh UNMASK OUT [PYTHON]
#
# UNMASK is a release build of the program, OUT a folder for the results, PYTHON one that has torch with CUDA (without
# it PyTorch is left out). BURN names a release build of bench/peers/burn with the features vulkan and fusion (without
# it Burn is left out). BATCH is 256 unless set. The card may be on a machine without a compiler: carry the program,
# bench/ and, where it lacks them, libvulkan.so.1 and libX11.so.6 with libXext.so.6, which NVIDIA's driver loads.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ $# -ge 2 ]] || { sed -n 's/^# usage: /usage: /p' "${BASH_SOURCE[0]}" >&2; exit 2; }
unmask=$1 out=$2 python=${3:-} batch=${BATCH:-256} failed=0
mkdir -p "$out"

# measure FILE COMMAND…: keeps what it prints, and goes on where it fails.
measure() {
    local file=$out/$1 start=$SECONDS
    shift
    "$@" >"$file" 2>&1 || { failed=1; printf 'failed: %s (see %s)\n' "$*" "$file" >&2; }
    printf '%4d s  %s\n' $((SECONDS - start)) "$*" >&2
}

measure info.txt "$unmask" info
measure selftest.txt "$unmask" selftest
for precision in f32 mixed; do
    measure "tiles-$precision.txt" "$unmask" bench --model base --batch "$batch" --precision "$precision" --tiles
    for model in base large; do
        measure "$model-$precision.txt" "$unmask" bench --model "$model" --batch "$batch" --precision "$precision" \
            --shapes --steps 5
    done
done
if [[ -n $python ]]; then
    for model in base large; do
        for peer in "torch f32" "torch tf32" "torch-compile bf16"; do
            read -r name precision <<<"$peer"
            measure "$model-$name-$precision.txt" "$python" bench/peers/run.py --ours "$unmask" --python "$python" \
                --peer "$name" --precision "$precision" --model "$model" --batch "$batch" --pairs 3
        done
    done
fi
if [[ -n ${BURN:-} ]]; then
    for model in base large; do
        measure "$model-burn.txt" python3 bench/peers/run.py --ours "$unmask" --program "$BURN" --peer burn-vulkan \
            --model "$model" --batch "$batch" --pairs 3
    done
fi
exit "$failed"
