//! `unmask probe`: how well classes can be told from an encoder's features.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::args::Common;
use super::compile_bar::CompileBar;
use super::model_args::tell_assumed;
use super::probe_args::ProbeArgs;
use super::progress::{bar, json_line, out};
use crate::data::{self, Labels, Source};
use crate::gpu::Gpu;
use crate::platform::Awake;
use crate::probe::{Accuracy, Embedder, Features, Linear, LinearOptions, Samples, Start, linear, nearest};

/// Class names shown, unless all are asked for as JSON.
const FEW: usize = 10;

/// All pictures, and which to train on and to test.
struct Sets {
    source: Arc<dyn Source>,
    train: Vec<usize>,
    test: Vec<usize>,
    /// Class of each picture.
    classes: Vec<usize>,
    /// Names of the classes.
    names: Vec<String>,
}

/// What is known of one encoder.
#[derive(serde::Serialize)]
struct Told {
    neighbours: Accuracy,
    linear: Linear,
    /// Training pictures that could be decoded.
    #[serde(skip)]
    train: usize,
}

/// Runs `unmask probe`.
pub fn run(common: &Common, args: &ProbeArgs) -> anyhow::Result<()> {
    let model = args.encoder.model.open(common)?;
    let sets = sets(args)?;
    let classes = &sets.names;
    let options = args.encoder.options();
    let _awake = Awake::keep("Features are computed and probed");
    let (trained, untrained, width) = pollster::block_on(async {
        let gpu = Gpu::open(&common.gpu_options()).await?;
        tell_assumed(common, &model);
        let starts = [Some(Start::Weights(&model.weights)), (!args.no_untrained).then_some(Start::Seed(args.seed))];
        let mut embedders = Vec::new();
        for start in starts.into_iter().flatten() {
            let _compiling = CompileBar::watch(common, gpu.compiling());
            embedders.push(Embedder::new(gpu.clone(), &model.config, start, options).await?);
        }
        let [of_train, of_test] = [
            embedded(common, &embedders, &sets, &sets.train).await?,
            embedded(common, &embedders, &sets, &sets.test).await?,
        ];
        // Their memory is of no more use.
        drop(embedders);
        let mut told = Vec::new();
        for of_both in of_train.iter().zip(&of_test) {
            told.push(tell(common, args, &gpu, of_both, classes.len()).await?);
        }
        let mut told = told.into_iter();
        let trained = told.next().context("an encoder")?;
        anyhow::Ok((trained, told.next(), model.config.width))
    })?;
    let commonest = commonest(&sets);
    if common.json {
        return json_line(&json!({
            "classes": classes, "train": trained.train, "test": trained.linear.accuracy.pictures, "width": width,
            "encoder": trained, "untrained": untrained, "commonest": commonest, "assumed": model.assumed,
            "averages_left_out": model.weights.averages,
        }));
    }
    let asked = trained.linear.accuracy.pictures;
    out!("encoder     {}, {width} numbers a picture", args.encoder.model.name())?;
    out!("pictures    {} to train on, {asked} to test, {} classes", trained.train, classes.len())?;
    out!("classes     {}", shown_names(classes))?;
    let votes = format!("{} neighbours", args.neighbours.min(trained.train));
    out!("{:<22}{votes:>30}{:>30}", "", "linear classifier")?;
    let shown = |accuracy: &Accuracy| {
        let five = if classes.len() > 5 { format!(", top-5 {:.1} %", 100.0 * accuracy.top5) } else { String::new() };
        format!("{:.1} ± {:.1} %{five}", 100.0 * accuracy.top1, 100.0 * accuracy.standard_error())
    };
    let row =
        |name: &str, told: &Told| out!("{name:<22}{:>30}{:>30}", shown(&told.neighbours), shown(&told.linear.accuracy));
    row("this encoder", &trained)?;
    untrained.iter().try_for_each(|told| row("the same untrained", told))?;
    out!("{:<22}{:>30}", "always the commonest", format!("{:.1} %", 100.0 * commonest))
}

/// The pictures of `--data` and `--test`, of which none is in both, and what they show.
fn sets(args: &ProbeArgs) -> anyhow::Result<Sets> {
    let (source, split) = data::open_for(&args.data, &args.test)?;
    let (train, test) = (split.train, split.held_out);
    // Where a part of --data is tested, its labels are those of all of it.
    let told = if args.test.is_empty() { (0..source.len()).collect() } else { train.clone() };
    if train.is_empty() || test.is_empty() {
        let sets = [&args.data[..], &args.test].concat().join(", ");
        bail!("{sets}: {} pictures to train on and {} to test; expected some of both", train.len(), test.len());
    }
    let labels = labels(args.labels.as_deref(), source.as_ref(), &told)?.several()?;
    if args.test.is_empty() {
        labels.check_shared()?;
    }
    let mut classes = vec![0; source.len()];
    told.iter().zip(&labels.of).for_each(|(index, class)| classes[*index] = *class);
    let names = labels.classes;
    if !args.test.is_empty() {
        let of_test = self::labels(args.test_labels.as_deref(), source.as_ref(), &test)?.by(&names)?;
        test.iter().zip(of_test).for_each(|(index, class)| classes[*index] = class);
    }
    Ok(Sets { source, train, test, classes, names })
}

/// What the pictures `indices` show, as `file` has it where it is given.
fn labels(file: Option<&Path>, source: &dyn Source, indices: &[usize]) -> anyhow::Result<Labels> {
    Ok(match file {
        Some(file) => Labels::of_file(file, source, indices)?,
        None => Labels::of_pictures(source, indices)?,
    })
}

/// The first of the classes `names`, and how many more there are.
fn shown_names(names: &[String]) -> String {
    let more = match names.len().saturating_sub(FEW) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names[..names.len().min(FEW)].join(", ") + &more
}

/// Share of the test pictures that are of the class which is commonest among the training pictures.
fn commonest(sets: &Sets) -> f64 {
    let mut counts = vec![0; sets.names.len()];
    sets.train.iter().for_each(|index| counts[sets.classes[*index]] += 1);
    // Of equal ones the first.
    let most = (0..counts.len()).rev().max_by_key(|class| counts[*class]);
    let right = sets.test.iter().filter(|index| Some(sets.classes[**index]) == most).count();
    right as f64 / sets.test.len().max(1) as f64
}

/// Features of the pictures `indices` by every encoder, with the classes of those that can be decoded.
async fn embedded(
    common: &Common,
    embedders: &[Embedder],
    sets: &Sets,
    indices: &[usize],
) -> anyhow::Result<Vec<Samples>> {
    let (first, others) = embedders.split_first().context("an encoder")?;
    let progress = bar(common, indices.len() as u64, 0);
    progress.set_message("features");
    let none = |embedder: &Embedder| Samples {
        features: Features { width: embedder.width(), values: Vec::new() },
        classes: Vec::new(),
    };
    let mut samples: Vec<Samples> = embedders.iter().map(none).collect();
    let others: Vec<&Embedder> = others.iter().collect();
    first
        .embed_all_beside(&others, sets.source.clone(), indices.to_vec(), |index, rows| {
            for (samples, row) in samples.iter_mut().zip(rows) {
                samples.features.values.extend_from_slice(row);
                samples.classes.push(sets.classes[index]);
            }
            progress.inc(1);
            anyhow::Ok(())
        })
        .await?;
    progress.finish_and_clear();
    Ok(samples)
}

async fn tell(
    common: &Common,
    args: &ProbeArgs,
    gpu: &Arc<Gpu>,
    (train, test): (&Samples, &Samples),
    classes: usize,
) -> anyhow::Result<Told> {
    let neighbours = nearest(gpu, train, test, classes, args.neighbours).await?;
    let progress = bar(common, 1, 0);
    progress.set_message("linear classifier");
    let options = LinearOptions { epochs: args.epochs, seed: args.seed };
    let linear = linear(gpu, train, test, classes, options, |done, steps| {
        progress.set_length(steps);
        progress.set_position(done);
    });
    let linear = linear.await?;
    progress.finish_and_clear();
    Ok(Told { neighbours, linear, train: train.classes.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_classes_are_shown() {
        let names: Vec<String> = (0..12).map(|class| class.to_string()).collect();
        assert_eq!(shown_names(&names[..10]), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9");
        assert_eq!(shown_names(&names), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more");
    }
}
