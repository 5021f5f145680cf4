//! Foreign weights under this program's names.

use std::collections::BTreeMap;

use super::layout::{Meaning, alters, meaning};
use super::resize::resize_positions;
use super::source::missing;
use super::{Tensor, TensorSource, WeightsError};

/// A tensor of this program, and where it comes from.
#[derive(Clone, Debug)]
struct Origin {
    shape: Vec<usize>,
    name: String,
    /// Which third of the foreign tensor's first axis; none for all of it.
    third: Option<usize>,
    /// Patches along a side of the foreign position table, where it is one of another size.
    grid: Option<usize>,
}

/// Most prefixes, one in the other, that a name is freed of.
const MOST_WRAPPERS: usize = 4;

/// Length of the prefix that all of `names` share and without which most of them mean something: models that were
/// wrapped in others have one, as compiled ones have `_orig_mod.`.
fn wrapper(names: &[&str]) -> usize {
    let Some(first) = names.first() else { return 0 };
    let ends = first.match_indices('.').map(|(at, _)| at + 1).take(MOST_WRAPPERS);
    let shared = ends.take_while(|end| names.iter().all(|name| name.starts_with(&first[..*end])));
    let lengths: Vec<usize> = std::iter::once(0).chain(shared).collect();
    let known = |length: &usize| names.iter().filter(|name| meaning(&name[*length..]) != Meaning::Unknown).count();
    // Of equal ones the shortest.
    lengths.into_iter().rev().max_by_key(known).unwrap_or(0)
}

/// Names of the position tables.
const POSITIONS: [&str; 2] = ["vit.embeddings.position_embeddings", "decoder.decoder_pos_embed"];

/// A source in any known layout, seen under this program's names.
pub struct Renamed {
    source: Box<dyn TensorSource>,
    origins: BTreeMap<String, Origin>,
    /// Tensors of a classifier, which a masked autoencoder has no use for.
    pub classifier: Vec<String>,
    /// Tensors with names that mean nothing here, and that no feature of a picture depends on.
    pub leftover: Vec<String>,
    /// Tensors with names that mean nothing here, of an encoder or decoder that computes something else.
    pub altering: Vec<String>,
    /// Whether averages of weights lie beside them.
    pub averages: bool,
}

impl Renamed {
    /// Translates the names of `source`.
    ///
    /// # Errors
    /// [`WeightsError::Layout`] where two names stand for one tensor, or stacked tensors cannot be taken apart.
    pub fn new(source: Box<dyn TensorSource>) -> Result<Renamed, WeightsError> {
        let fail = |reason: String| WeightsError::Layout { path: source.path().to_owned(), reason };
        let mut origins: BTreeMap<String, Origin> = BTreeMap::new();
        let (mut classifier, mut leftover, mut altering) = (Vec::new(), Vec::new(), Vec::new());
        let mut averages = false;
        let shapes = source.shapes();
        let wrapper = wrapper(&shapes.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        for (name, shape) in shapes {
            let found = match meaning(&name[wrapper..]) {
                Meaning::Tensor(native) => vec![(native, None)],
                Meaning::Stacked(natives) => natives.into_iter().zip((0..).map(Some)).collect(),
                Meaning::Classifier => {
                    classifier.push(name.to_owned());
                    continue;
                }
                Meaning::Moment => continue,
                Meaning::Average => {
                    averages = true;
                    continue;
                }
                Meaning::Unknown => {
                    let list = if alters(&name[wrapper..]) { &mut altering } else { &mut leftover };
                    list.push(name.to_owned());
                    continue;
                }
            };
            for (native, third) in found {
                let mut shape = shape.to_vec();
                if third.is_some() {
                    match shape.first_mut() {
                        Some(rows) if rows.is_multiple_of(3) => *rows /= 3,
                        _ => return Err(fail(format!("tensor \"{name}\" of shape {shape:?} is no stack of three"))),
                    }
                }
                let origin = Origin { shape, name: name.to_owned(), third, grid: None };
                if let Some(other) = origins.insert(native.clone(), origin) {
                    return Err(fail(format!("\"{}\" and \"{name}\" both stand for \"{native}\"", other.name)));
                }
            }
        }
        Ok(Renamed { source, origins, classifier, leftover, altering, averages })
    }

    /// Sees position tables as for a grid of `grid` x `grid` patches, interpolated where they are for another.
    pub fn resize(&mut self, grid: usize) {
        for name in POSITIONS {
            let Some(origin) = self.origins.get_mut(name) else { continue };
            let [1, rows, _] = origin.shape[..] else { continue };
            let from = rows.saturating_sub(1).isqrt();
            if from != grid && from * from + 1 == rows {
                origin.grid = Some(from);
                origin.shape[1] = grid * grid + 1;
            }
        }
    }

    /// Whether there is a decoder to rebuild pictures with.
    pub fn has_decoder(&self) -> bool {
        self.origins.keys().any(|name| name.starts_with("decoder."))
    }

    /// All names as they stand in the file.
    pub fn found(&self) -> Vec<String> {
        self.source.shapes().into_iter().map(|(name, _)| name.to_owned()).collect()
    }

    /// Names that differ from this program's.
    pub fn translated(&self) -> usize {
        self.origins.iter().filter(|(name, origin)| **name != origin.name).count()
    }

    /// As [`TensorSource::read_rows`], whatever the numbers are.
    fn read_numbers(&self, origin: &Origin, first: usize, count: usize) -> Result<Tensor, WeightsError> {
        if let (Some(from), &[1, rows, width]) = (origin.grid, origin.shape.as_slice()) {
            let table = self.source.read(&origin.name)?;
            let data = resize_positions(&table.data, width, from, (rows - 1).isqrt());
            return Ok(Tensor { shape: origin.shape.clone(), data });
        }
        let before = origin.third.map_or(0, |third| third * origin.shape[0]);
        self.source.read_rows(&origin.name, before + first, count)
    }
}

impl TensorSource for Renamed {
    fn path(&self) -> &str {
        self.source.path()
    }

    fn shapes(&self) -> Vec<(&str, &[usize])> {
        self.origins.iter().map(|(name, origin)| (name.as_str(), origin.shape.as_slice())).collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.origins.get(name).map(|origin| origin.shape.as_slice())
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        self.source.metadata()
    }

    fn read_rows(&self, name: &str, first: usize, count: usize) -> Result<Tensor, WeightsError> {
        let origin = self.origins.get(name).ok_or_else(|| missing(self.path(), name))?;
        let tensor = self.read_numbers(origin, first, count)?;
        // Here, where all weights that are used come through: one that is no number makes all features none.
        match tensor.data.iter().find(|number| !number.is_finite()) {
            Some(value) => {
                let (path, name) = (self.path().to_owned(), origin.name.clone());
                Err(WeightsError::NotFinite { path, name, value: *value })
            }
            None => Ok(tensor),
        }
    }
}
