//! Small pieces that several panels use.

use std::time::Duration;

use eframe::egui;

/// How often what looks busy moves; where a processor draws, rarely.
const BUSY_EVERY: Duration = Duration::from_millis(120);
const BUSY_RARELY: Duration = Duration::from_millis(600);
/// In how many dots.
const BUSY_DOTS: usize = 8;
/// Most decimals of a number in a field.
const DECIMALS: usize = 8;

/// Names a widget for screen readers and tests, where its own text does not.
pub fn name(response: &egui::Response, name: &str) {
    response.ctx.accesskit_node_builder(response.id, |node| node.set_label(name));
}

/// Names a drawn picture for screen readers and tests.
pub fn name_image(response: &egui::Response, name: &str) {
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, name));
}

/// A button for what most people came to do.
pub fn primary(ui: &egui::Ui, text: &str) -> egui::Button<'static> {
    let visuals = ui.visuals();
    let text = egui::RichText::new(text).strong().color(visuals.selection.stroke.color);
    egui::Button::new(text).fill(visuals.selection.bg_fill)
}

/// Looks busy, while something is waited for.
///
/// Not egui's own, which has everything drawn anew as often as the screen can show it: that work is for the device, which
/// is what is waited for.
pub fn busy(ui: &mut egui::Ui) -> egui::Response {
    let size = ui.spacing().interact_size.y;
    let (rect, response) = ui.allocate_exact_size(egui::Vec2::splat(size), egui::Sense::hover());
    response.widget_info(|| egui::WidgetInfo::new(egui::Role::ProgressIndicator));
    if ui.is_rect_visible(rect) {
        let every = if ui.style().animation_time > 0.0 { BUSY_EVERY } else { BUSY_RARELY };
        let turn = (ui.input(|input| input.time) / every.as_secs_f64()).floor() as usize;
        let color = ui.visuals().strong_text_color();
        for dot in 0..BUSY_DOTS {
            let angle = std::f32::consts::TAU * dot as f32 / BUSY_DOTS as f32;
            let centre = rect.center() + size * 0.32 * egui::Vec2::angled(angle);
            // The newest is the darkest.
            let age = (turn + BUSY_DOTS - dot) % BUSY_DOTS;
            let fade = 1.0 - age as f32 / BUSY_DOTS as f32;
            ui.painter().circle_filled(centre, size * 0.07, color.gamma_multiply(fade));
        }
        ui.ctx().request_repaint_after(every);
    }
    response
}

/// `1.1 million parameters`, for people.
pub fn count(n: u64) -> String {
    match n {
        0..10_000 => format!("{n} parameters"),
        10_000..1_000_000 => format!("{:.0} thousand parameters", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} million parameters", n as f64 / 1e6),
        _ => format!("{:.2} billion parameters", n as f64 / 1e9),
    }
}

/// Bytes, for people.
pub fn bytes(n: u64) -> String {
    let mib = n as f64 / f64::from(1 << 20);
    if mib < 1024.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

/// Seconds, for people.
pub fn duration(seconds: f64) -> String {
    let s = seconds.max(0.0).round() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        _ => format!("{} h {:02} min", s / 3600, s / 60 % 60),
    }
}

/// A number to drag or to type within `range`; one beyond it, as a run from elsewhere may have it, stays until it is
/// changed.
pub fn number<N: egui::emath::Numeric>(
    ui: &mut egui::Ui,
    value: &mut N,
    range: std::ops::RangeInclusive<N>,
    speed: f64,
) -> egui::Response {
    let (before, decimals) = (*value, if N::INTEGRAL { 0 } else { DECIMALS });
    let (least, most) = range.into_inner();
    let lower = if before < least { before } else { least };
    let upper = if before > most { before } else { most };
    let response = ui.add(egui::DragValue::new(value).range(lower..=upper).speed(speed).max_decimals(decimals));
    if *value != before {
        let read = |value: N| ui.style().number_formatter.format(value.to_f64(), 0..=decimals);
        // A field that is left takes up what it showed, which may not be all of the number; arrow keys know no range.
        *value = if read(*value) == read(before) {
            before
        } else if *value < least {
            least
        } else if *value > most {
            most
        } else {
            *value
        };
    }
    response
}

/// A setting in a two-column grid: its name with an explanation, the widget, and a reset where it is not the default.
pub fn setting<T: PartialEq + Clone>(
    ui: &mut egui::Ui,
    label: &str,
    hint: &str,
    value: &mut T,
    default: &T,
    add: impl FnOnce(&mut egui::Ui, &mut T) -> egui::Response,
) {
    ui.label(label).on_hover_text(hint);
    ui.horizontal(|ui| {
        let response = add(ui, value);
        name(&response, label);
        if value != default && ui.small_button("Reset").on_hover_text("back to the default").clicked() {
            *value = default.clone();
        }
    });
    ui.end_row();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(1_100_000), "1.1 million parameters");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(duration(59.6), "1 min 00 s");
        assert_eq!(duration(3720.0), "1 h 02 min");
    }
}
