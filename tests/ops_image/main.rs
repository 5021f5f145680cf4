//! Crops, resampling, masks, patches and previews against their twins.

#[path = "../common/mod.rs"]
mod common;
mod crops;
mod draws;
mod masks;
mod patches;
mod resampling;

use common::Data;
use unmask::graph::{Graph, GraphError, TensorType, Var};
use unmask::ops::{self, CropMode, MaskNoise, MaskStrategy, PatchOrder, PixelNorm};

/// The step tensor of the first stream.
fn step(seed: u32, number: u32) -> Data {
    Data::U32(vec![seed, number, 0, 0])
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let order = PatchOrder::RowColumnChannel;
    let wide = CropMode::Random { scale: [0.2, 1.0], ratio: [0.1, 1.0], flip: true };
    let large = CropMode::Random { scale: [0.5, 1.5], ratio: [1.0, 1.0], flip: true };
    let noise = MaskNoise { strategy: MaskStrategy::Random, batch: 1, grid: 2, hidden: 5 };
    let crop = |g: &mut Graph, step, mode| {
        let sizes = g.external("sizes", TensorType::u32(&[2, 4]));
        ops::crop_boxes(g, sizes, step, mode)
    };
    type Build<'a> = &'a dyn Fn(&mut Graph, Var, Var) -> Result<Var, GraphError>;
    // Each op on an f32 tensor of some shape and a u32 [4].
    let cases: [(&str, &[usize], Build<'_>); 14] = [
        ("4 do not tile", &[1, 3, 7, 8], &|g, x, _| ops::patchify(g, x, 4, order)),
        ("0 do not tile", &[1, 3, 8, 8], &|g, x, _| ops::patchify(g, x, 0, order)),
        ("[B, C, H, W]", &[3, 8, 8], &|g, x, _| ops::patchify(g, x, 4, order)),
        ("[B, 4, 48]", &[1, 4, 47], &|g, x, _| ops::unpatchify(g, x, 4, order, [3, 8, 8])),
        ("keep 10", &[2, 9], &|g, x, _| Ok(ops::mask_rank(g, x, 10)?.0)),
        ("keep 0", &[2, 9], &|g, x, _| Ok(ops::mask_rank(g, x, 0)?.0)),
        ("cannot hide", &[2, 9], &|g, x, _| {
            let restore = ops::mask_rank(g, x, 3)?.0;
            Ok(ops::hidden_rows(g, restore, 9)?.rows)
        }),
        ("two numbers", &[2, 1], &|g, x, _| Ok(ops::normalise_patches(g, x)?.0)),
        ("sizes is F32 [2, 4], expected U32", &[2, 4], &|g, x, s| ops::crop_boxes(g, x, s, CropMode::Whole)),
        ("aspect ratios", &[1], &|g, _, s| crop(g, s, wide)),
        ("shares", &[1], &|g, _, s| crop(g, s, large)),
        ("boxes f32 [B, 8]", &[1, 4], &|g, x, s| ops::resample(g, s, s, x, 8, 8, PixelNorm::default())),
        ("hide 5", &[1], &|g, _, s| g.add1(noise, &[s])),
        ("input 1", &[2, 3, 8, 8], &|g, x, _| ops::preview(g, x, x, x, None, 4, PixelNorm::default())),
    ];
    for (reason, shape, build) in cases {
        let mut graph = Graph::new();
        let x = graph.external("x", TensorType::f32(shape));
        let s = graph.external("s", TensorType::u32(&[4]));
        let error = build(&mut graph, x, s).expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}, not {reason}");
    }
}
