//! Panels of a strip as squares on the screen, with patches under the pointer.

use eframe::egui::{self, Color32, Pos2, Rect, TextureId, Vec2};

use super::theme;
use crate::ops::PANELS;

/// What of an explored picture is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Visible patches on grey.
    Visible,
    /// What the model predicts for every patch.
    Reconstruction,
    /// Predictions where hidden, pixels where visible.
    Pasted,
    /// The picture.
    Original,
    /// Error of each hidden patch as colour.
    Error,
}

/// All views, in the order of the strip's panels, then those drawn from numbers.
pub const VIEWS: [(View, &str, &str); 5] = [
    (
        View::Visible,
        "Visible patches",
        "all that the encoder sees; click or drag to hide and show patches, or Tab here, arrow keys and Space",
    ),
    (
        View::Reconstruction,
        "Reconstruction",
        "what the model predicts for every patch; it was never asked for visible ones, so these look odd",
    ),
    (View::Pasted, "With visible patches", "predictions for hidden patches, pixels for visible ones"),
    (View::Original, "Original", "the picture at the model's resolution"),
    (View::Error, "Error per patch", "mean square error of each hidden patch, brighter is worse"),
];

/// Part of the strip's texture that shows `view`.
pub fn part(view: View) -> Rect {
    let panel = match view {
        View::Visible => 0,
        View::Reconstruction => 1,
        View::Pasted => 2,
        View::Original | View::Error => 3,
    };
    let width = 1.0 / PANELS as f32;
    Rect::from_min_size(Pos2::new(panel as f32 * width, 0.0), Vec2::new(width, 1.0))
}

/// Columns of `count` squares with a line of text each that fill `space` best, and their side.
pub fn arrange(count: usize, space: Vec2, gap: f32, text: f32) -> (usize, f32) {
    let side = |columns: usize| {
        let rows = count.div_ceil(columns) as f32;
        let across = (space.x - gap * (columns - 1) as f32) / columns as f32;
        let down = (space.y - gap * (rows - 1.0)) / rows - text;
        across.min(down)
    };
    // Full rows look better than slightly larger squares.
    let worth = |columns: usize| side(columns) * if count.is_multiple_of(columns) { 1.15 } else { 1.0 };
    let best = (1..=count.max(1)).max_by(|a, b| worth(*a).total_cmp(&worth(*b))).unwrap_or(1);
    (best, side(best).max(48.0))
}

/// A grid of `columns` squares in the middle of the width that there is; `add` fills it.
pub fn grid(ui: &mut egui::Ui, id: &str, [columns, side, gap]: [f32; 3], add: impl FnOnce(&mut egui::Ui)) {
    let width = columns * side + (columns - 1.0) * gap;
    let margin = ((ui.available_width() - width) / 2.0).max(0.0);
    egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            ui.add_space(margin);
            egui::Grid::new(id).spacing([gap, gap]).show(ui, add);
        });
    });
}

/// Draws `view` of the strip `texture` into `rect`.
pub fn paint(painter: &egui::Painter, rect: Rect, view: View, texture: TextureId, mse: &[f32], hidden: &[bool]) {
    let tint = if view == View::Error { Color32::from_gray(70) } else { Color32::WHITE };
    painter.image(texture, rect, part(view), tint);
    if view != View::Error {
        return;
    }
    let grid = (mse.len() as f64).sqrt() as usize;
    let errors = || mse.iter().zip(hidden).filter(|(_, hidden)| **hidden).map(|(error, _)| error.sqrt());
    let most = errors().fold(1e-6, f32::max);
    for (patch, (error, hidden)) in mse.iter().zip(hidden).enumerate() {
        if *hidden {
            painter.rect_filled(cell(rect, grid, patch), 0.0, theme::heat(error.sqrt() / most));
        }
    }
}

/// Where patch `patch` of a grid of side `grid` lies in `rect`.
pub fn cell(rect: Rect, grid: usize, patch: usize) -> Rect {
    let side = rect.size() / grid as f32;
    let corner = Vec2::new((patch % grid) as f32 * side.x, (patch / grid) as f32 * side.y);
    Rect::from_min_size(rect.min + corner, side)
}

/// The patch of a grid of side `grid` in `rect` at `pointer`.
pub fn patch_at(rect: Rect, grid: usize, pointer: Pos2) -> Option<usize> {
    if !rect.contains(pointer) || grid == 0 {
        return None;
    }
    let place = (pointer - rect.min) / rect.size() * grid as f32;
    let along = |x: f32| (x as usize).min(grid - 1);
    Some(along(place.y) * grid + along(place.x))
}

/// Has the arrow keys move `at` over a grid of side `grid` in `rect`, and frames it, while the picture that answers has
/// the keyboard. Whether space or enter chose it.
pub fn by_keys(ui: &egui::Ui, rect: Rect, response: &egui::Response, grid: usize, at: &mut usize) -> bool {
    *at = (*at).min((grid * grid).saturating_sub(1));
    if !response.has_focus() || grid == 0 {
        return false;
    }
    // Else they would move the keyboard to another widget.
    let arrows = egui::EventFilter { horizontal_arrows: true, vertical_arrows: true, ..egui::EventFilter::default() };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, arrows));
    let [up, down, left, right] =
        [egui::Key::ArrowUp, egui::Key::ArrowDown, egui::Key::ArrowLeft, egui::Key::ArrowRight]
            .map(|key| ui.input(|input| input.num_presses(key)));
    let along = |place: usize, more: usize, less: usize| (place + more).saturating_sub(less).min(grid - 1);
    let (row, column) = (along(*at / grid, down, up), along(*at % grid, right, left));
    *at = row * grid + column;
    let stroke = egui::Stroke::new(2.0, ui.visuals().selection.stroke.color);
    ui.painter().rect_stroke(cell(rect, grid, *at), 0.0, stroke, egui::StrokeKind::Inside);
    let place = format!("row {}, column {}", row + 1, column + 1);
    response.ctx.accesskit_node_builder(response.id, |node| node.set_value(place));
    // A click by the pointer has a place of its own.
    response.clicked() && response.interact_pointer_pos().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_found_where_they_are_drawn() {
        let rect = Rect::from_min_size(Pos2::new(10.0, 20.0), Vec2::splat(80.0));
        for patch in 0..64 {
            assert_eq!(patch_at(rect, 8, cell(rect, 8, patch).center()), Some(patch));
        }
        assert_eq!(patch_at(rect, 8, Pos2::new(9.0, 30.0)), None);
    }

    #[test]
    fn squares_fill_wide_and_tall_spaces() {
        assert_eq!(arrange(4, Vec2::new(1000.0, 260.0), 8.0, 20.0).0, 4);
        assert_eq!(arrange(4, Vec2::new(500.0, 520.0), 8.0, 20.0).0, 2);
        assert_eq!(arrange(4, Vec2::new(200.0, 900.0), 8.0, 20.0).0, 1);
    }
}
