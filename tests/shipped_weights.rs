//! The model that comes with the program, on photographs it never saw.

mod common;

use unmask::data::{self, Source as _};
use unmask::train::{Hidden, Reconstructor};

/// How much better than the better baseline the shipped model has to be.
const MARGIN: f64 = 0.25;

#[test]
fn the_shipped_model_beats_the_baselines_on_held_out_photographs() {
    let gpu = common::gpu();
    let model = unmask::train::Opened::shipped().expect("weights");
    let mut model = pollster::block_on(Reconstructor::new(gpu, &model)).expect("a model");
    let source = data::SampleSource;
    let held_out = data::split(&source).held_out;
    assert!(held_out.len() >= 20);
    let (mut ours, mut colour, mut interpolation) = (0.0, 0.0, 0.0);
    for (seed, index) in held_out.iter().enumerate() {
        let picture = source.load(*index, Some(model.decode_limit())).expect("a photograph");
        let hidden = Hidden::Ratio { strategy: None, ratio: 0.75, seed: seed as u32 };
        let result = pollster::block_on(model.reconstruct(picture, &hidden)).expect("a reconstruction");
        assert_eq!(result.keep.len(), 16);
        ours += result.hidden_mse;
        let baselines = result.baselines();
        colour += baselines.mean_colour;
        interpolation += baselines.interpolation;
    }
    let count = held_out.len() as f64;
    let better = colour.min(interpolation);
    println!(
        "{} held-out photographs at 75 %: hidden MSE {:.4}; mean colour {:.4}, interpolation {:.4}; {:.1} % below",
        held_out.len(),
        ours / count,
        colour / count,
        interpolation / count,
        100.0 * (1.0 - ours / better)
    );
    assert!(ours <= (1.0 - MARGIN) * better, "{ours} is not {MARGIN} below {better}");
}
