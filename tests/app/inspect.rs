//! Looking inside the model.

use egui_kittest::kittest::Queryable as _;
use unmask::app::Tab;
use unmask::train::Look;
use unmask::weights::TensorSource as _;

use super::{common, egui, open, wait};

#[test]
fn attention_follows_the_patch_that_is_clicked() {
    let mut harness = open();
    harness.state_mut().open(Tab::Inspect);
    wait(&mut harness, "a look inside", |app| app.inspect().looked().is_some());
    let looked = harness.state().inspect().looked().expect("a look").clone();
    assert_eq!(looked.look, Look { layer: 3, token: 1 + 32 + 4 });
    assert_eq!((looked.grid, looked.attention.len(), looked.filters.pixels.len()), (8, 4, 128));
    for row in looked.attention.iter().chain([&looked.mean_attention]) {
        assert_eq!(row.len(), 65);
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-3, "attention adds up to {}", row.iter().sum::<f32>());
    }
    for cosines in [&looked.features, &looked.positions] {
        assert!((cosines[looked.look.token] - 1.0).abs() < 1e-4);
        assert!(cosines.iter().all(|cosine| cosine.abs() < 1.0001));
    }
    assert!(looked.components.len() == 3 && looked.components.iter().all(|component| component.len() == 64));

    // Nearer positions have codes more alike than farther ones.
    assert!(looked.positions[38] > looked.positions[40] && looked.positions[29] > looked.positions[13]);

    harness.get_by_role_and_label(egui::accesskit::Role::Slider, "Layer").click();
    wait(&mut harness, "another layer", |app| app.inspect().looked().is_some_and(|looked| looked.look.layer < 3));
    harness.get_by_label("Class token").click();
    wait(&mut harness, "the class token", |app| app.inspect().looked().is_some_and(|looked| looked.look.token == 0));
    let looked = harness.state().inspect().looked().expect("a look");
    assert!(looked.positions.iter().all(|cosine| *cosine == 0.0));
    harness.get_by_role_and_label(egui::accesskit::Role::Image, "Attention").click();
    wait(&mut harness, "the patch in the middle", |app| {
        app.inspect().looked().is_some_and(|looked| looked.look.token == 1 + 4 * 8 + 4)
    });
}

#[test]
fn filters_show_the_numbers_of_the_patch_embedding() {
    let mut harness = open();
    harness.state_mut().open(Tab::Inspect);
    wait(&mut harness, "a look inside", |app| app.inspect().looked().is_some());
    let filters = harness.state().inspect().looked().expect("a look").filters.clone();
    let (count, side) = (128, filters.patch);
    let name = "vit.embeddings.patch_embeddings.projection.weight";
    let weights = unmask::weights::shipped().expect("weights");
    let weight = &weights.get(name, &[count, 3, side, side]).expect("a weight").data;
    assert_eq!((filters.pixels.len(), side), (count, 8));
    for (index, pixels) in filters.pixels.iter().enumerate() {
        let filter = &weight[index * 3 * side * side..][..3 * side * side];
        let most = filter.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        for (at, byte) in pixels.iter().enumerate() {
            let (row, column, channel) = (at / 3 / side, at / 3 % side, at % 3);
            let want = 127.5 + 127.5 * filter[(channel * side + row) * side + column] / most;
            assert!((f32::from(*byte) - want).abs() < 0.51, "filter {index}, {row} {column} {channel}: {byte} {want}");
        }
        assert_eq!(pixels.len(), filter.len());
    }
}

#[test]
fn costs_and_the_adapter_are_told() {
    let mut harness = open();
    harness.state_mut().open(Tab::Inspect);
    wait(&mut harness, "a look inside", |app| app.inspect().looked().is_some());
    harness.get_by_label("Costs").click();
    harness.run_steps(2);
    harness.get_by_label("Measure").click();
    wait(&mut harness, "costs", |app| app.inspect().profile().is_some());
    let profile = harness.state().inspect().profile().expect("costs");
    let parameters: u64 = profile.parameters.iter().map(|tensor| tensor.bytes).sum();
    assert!(parameters > 1_000_000 && profile.activations > 0);
    let timed = common::gpu().features().contains(wgpu::Features::TIMESTAMP_QUERY);
    assert_eq!(profile.ops.is_some(), timed, "ops are timed where the adapter has timestamps");
    if let Some(ops) = &profile.ops {
        assert!(ops.iter().any(|op| op.op == "matmul" && op.launches > 10), "{ops:?}");
        harness.run_steps(2);
        harness.get_by_label("matmul");
    }
    harness.get_by_label("Count frames").click();
    harness.run_steps(5);
    let times = harness.state().inspect().frame_times().expect("times between frames");
    assert!(times.frames >= 2 && times.median <= times.percentile_95 && times.percentile_95 <= times.longest);
    harness.get_by_label("Count frames").click();
    harness.run_steps(2);
    harness.get_by_label("Adapter").click();
    harness.run_steps(2);
    harness.get_by_label("workgroup memory");
    harness.get_by_label("Filters").click();
    harness.run_steps(2);
    harness.get_by_role_and_label(egui::accesskit::Role::Image, "Filter 128");
}
