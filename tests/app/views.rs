//! The main views as pictures, in both themes: `UPDATE_SNAPSHOTS=1` takes new ones, to be looked at before they are kept.

use egui_kittest::kittest::Queryable as _;
use egui_kittest::{SnapshotOptions, SnapshotResults};
use unmask::app::Tab;

use super::{egui, open, wait};

/// Pixels that may differ: other versions of the rasteriser round the model's last bits otherwise.
const MOST_DIFFERENT: usize = 40;

#[test]
fn the_main_views_look_as_they_did() {
    let gpu = super::common::gpu();
    if !gpu.name().starts_with("llvmpipe") {
        let what =
            format!("views of the app are not compared: the pictures were drawn by llvmpipe, not {}", gpu.name());
        return super::common::left_out_of(&gpu, &what);
    }
    let options = SnapshotOptions::new().max_failed_pixels(MOST_DIFFERENT);
    let mut results = SnapshotResults::new();
    for (theme, theme_name) in [(egui::Theme::Light, "light"), (egui::Theme::Dark, "dark")] {
        let mut harness = open();
        harness.ctx.set_theme(theme);
        harness.state_mut().open(Tab::Inspect);
        wait(&mut harness, "a look inside", |app| app.inspect().looked().is_some());
        // Every thumbnail of the gallery is there after a frame each.
        harness.state_mut().open(Tab::Explore);
        harness.run_steps(40);
        for (tab, name) in
            [(Tab::Explore, "explore"), (Tab::Train, "train"), (Tab::Inspect, "inspect"), (Tab::Guide, "guide")]
        {
            harness.state_mut().open(tab);
            harness.run_steps(4);
            wait(&mut harness, "a look inside", |app| app.inspect().looked().is_some());
            // What differs from machine to machine and run to run.
            let mut varying = vec![harness.get_by_label(gpu.name()).rect()];
            // Wide enough for a slow machine's times.
            let room = |rect: egui::Rect| egui::Rect::from_min_size(rect.min, rect.size().max(egui::vec2(80.0, 0.0)));
            varying.extend(harness.query_all_by_label_contains(" ms").map(|node| room(node.rect())));
            for rect in varying {
                harness.mask(rect.expand(2.0));
            }
            results.add(harness.try_snapshot_options(format!("{name}_{theme_name}"), &options));
        }
    }
    results.unwrap();
}
