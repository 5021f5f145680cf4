//! Curves of a run.

use eframe::egui;
use egui_plot::{GridInput, GridMark, Legend, Line, Plot, PlotPoints, Points, log_grid_spacer};

use super::compared::Compared;
use super::ticks;
use crate::app::history::History;
use crate::app::theme;

/// Marks at whole steps: there is nothing between two.
fn steps(input: GridInput) -> Vec<GridMark> {
    log_grid_spacer(10)(input).into_iter().filter(|mark| (mark.value - mark.value.round()).abs() < 1e-6).collect()
}

/// Losses over steps, on a logarithmic scale.
pub fn losses(ui: &mut egui::Ui, history: &History, others: &[Compared], height: f32) {
    let log = |curve: &[[f64; 2]]| -> PlotPoints<'static> {
        curve.iter().filter(|point| point[1] > 0.0).map(|[x, y]| [*x, y.log10()]).collect()
    };
    Plot::new("loss")
        .height(height)
        .legend(Legend::default())
        .allow_scroll(false)
        .x_grid_spacer(steps)
        .y_grid_spacer(|GridInput { bounds: (low, high), .. }: GridInput| {
            let mark = |value: f64| GridMark { value: value.log10(), step_size: (high - low) / 4.0 };
            ticks::ticks(low, high).into_iter().map(mark).collect()
        })
        .y_axis_formatter(|mark: GridMark, _| ticks::label(10f64.powf(mark.value)))
        .y_axis_min_width(48.0)
        .show(ui, |plot| {
            for (Compared { name, history: other, .. }, colour) in others.iter().zip(theme::OTHERS.iter().cycle()) {
                let curve = if other.held_out.len() > 1 { &other.held_out } else { &other.smooth };
                plot.line(Line::new(name, log(curve)).color(*colour).width(1.5));
            }
            plot.line(Line::new("loss of each step", log(&history.loss)).color(theme::TRAIN.gamma_multiply(0.35)));
            plot.line(Line::new("training loss", log(&history.smooth)).color(theme::TRAIN).width(2.0));
            plot.line(Line::new("held-out loss", log(&history.held_out)).color(theme::HELD_OUT).width(2.0));
            // A single measurement is no line yet.
            plot.points(Points::new("held-out loss", log(&history.held_out)).color(theme::HELD_OUT).radius(2.5));
        });
}

/// Learning rate and norm of gradients over steps, each as a share of its largest.
pub fn rates(ui: &mut egui::Ui, history: &History, height: f32) {
    let share = |curve: &[[f64; 2]]| -> PlotPoints<'static> {
        let most = curve.iter().map(|point| point[1]).fold(1e-30, f64::max);
        curve.iter().map(|[x, y]| [*x, y / most]).collect()
    };
    let last = |curve: &[[f64; 2]]| curve.last().map_or(0.0, |point| point[1]);
    Plot::new("rates")
        .height(height)
        .legend(Legend::default())
        .allow_scroll(false)
        .show_axes([true, false])
        .x_grid_spacer(steps)
        .show(ui, |plot| {
            let lr = format!("learning rate {:.2e}", last(&history.lr));
            plot.line(Line::new(lr, share(&history.lr)).id("lr").color(theme::RATE).width(1.5));
            let norm = format!("gradient norm {:.2}", last(&history.norm));
            plot.line(Line::new(norm, share(&history.norm)).id("norm").color(theme::NORM).width(1.0));
        });
}
