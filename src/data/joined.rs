//! Several data sets as one.

use std::path::Path;
use std::sync::Arc;

use super::parallel::each;
use super::picture_files::{self, is_picture};
use super::places::Places;
use super::{DataError, Picture, Raw, Source, Split, open, split};
use crate::platform;

/// Sources one after the other.
struct Joined {
    sources: Vec<Arc<dyn Source>>,
    /// Where each begins.
    starts: Vec<usize>,
    len: usize,
}

impl Joined {
    /// The source that holds `index`, and the index within it.
    fn find(&self, index: usize) -> (&dyn Source, usize) {
        assert!(index < self.len, "picture {index} of {}", self.len);
        // The first begins at 0, so that at least one begins at or before any index.
        let at = self.starts.partition_point(|start| *start <= index) - 1;
        (self.sources[at].as_ref(), index - self.starts[at])
    }
}

impl Source for Joined {
    fn len(&self) -> usize {
        self.len
    }

    fn name(&self, index: usize) -> &str {
        let (source, index) = self.find(index);
        source.name(index)
    }

    fn label(&self, index: usize) -> Option<&str> {
        let (source, index) = self.find(index);
        source.label(index)
    }

    fn folders(&self, index: usize) -> &str {
        let (source, index) = self.find(index);
        source.folders(index)
    }

    fn place(&self, index: usize) -> Option<&Path> {
        let (source, index) = self.find(index);
        source.place(index)
    }

    fn read(&self, index: usize) -> Result<Raw<'_>, DataError> {
        let (source, index) = self.find(index);
        source.read(index)
    }

    fn load(&self, index: usize, limit: Option<u32>) -> Result<Picture, DataError> {
        let (source, index) = self.find(index);
        source.load(index, limit)
    }
}

/// Some of the pictures of a source.
struct Part {
    source: Arc<dyn Source>,
    /// Which, ascending.
    indices: Vec<usize>,
}

impl Source for Part {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn name(&self, index: usize) -> &str {
        self.source.name(self.indices[index])
    }

    fn label(&self, index: usize) -> Option<&str> {
        self.source.label(self.indices[index])
    }

    fn folders(&self, index: usize) -> &str {
        self.source.folders(self.indices[index])
    }

    fn place(&self, index: usize) -> Option<&Path> {
        self.source.place(self.indices[index])
    }

    fn read(&self, index: usize) -> Result<Raw<'_>, DataError> {
        self.source.read(self.indices[index])
    }

    fn load(&self, index: usize, limit: Option<u32>) -> Result<Picture, DataError> {
        self.source.load(self.indices[index], limit)
    }
}

/// Sources one after the other, as one.
pub fn join(mut sources: Vec<Arc<dyn Source>>) -> Arc<dyn Source> {
    if sources.len() == 1 {
        return sources.remove(0);
    }
    let mut len = 0;
    let starts = sources
        .iter()
        .map(|source| {
            let start = len;
            len += source.len();
            start
        })
        .collect();
    Arc::new(Joined { sources, starts, len })
}

/// The places of a data set: one, or those of all single pictures, which make up a set together.
type Set = Vec<String>;

/// The sets that `specs` tell.
fn sets(specs: &[String]) -> Vec<Set> {
    let (mut sets, mut of_pictures) = (Vec::<Set>::new(), None::<usize>);
    for spec in specs {
        let single = is_picture(spec);
        match of_pictures {
            Some(at) if single => sets[at].push(spec.clone()),
            _ => {
                of_pictures = of_pictures.or(single.then_some(sets.len()));
                sets.push(vec![spec.clone()]);
            }
        }
    }
    sets
}

fn open_set(set: &[String]) -> Result<Arc<dyn Source>, DataError> {
    match set {
        [spec] => open(spec),
        pictures => Ok(Arc::new(picture_files::open(pictures)?)),
    }
}

/// Opens the data sets `specs` as one, each with its own held-out tenth, so that what a set holds out alone it holds
/// out in company too. A file that is in several of them is taken of the first; the very same set may be asked for
/// more than once, so that its pictures count for more. Single pictures are one set.
///
/// # Errors
/// Those of [`open`].
pub fn open_all(specs: &[String]) -> Result<(Arc<dyn Source>, Split), DataError> {
    let sets = sets(specs);
    let sources = each(&sets, platform::threads(), |set| open_set(set))?;
    let kept = kept(&sets, &sources);
    let (mut parts, mut joint, mut first) = (Vec::new(), Split::default(), 0);
    for (source, kept) in sources.into_iter().zip(kept) {
        let Split { mut train, mut held_out } = split(source.as_ref());
        let part: Arc<dyn Source> = match kept {
            None => source,
            Some(indices) => {
                for side in [&mut train, &mut held_out] {
                    *side = side.iter().filter_map(|index| indices.binary_search(index).ok()).collect();
                }
                Arc::new(Part { source, indices })
            }
        };
        joint.train.extend(train.into_iter().map(|index| first + index));
        joint.held_out.extend(held_out.into_iter().map(|index| first + index));
        first += part.len();
        parts.push(part);
    }
    Ok((join(parts), joint))
}

/// Opens the data sets `data` to train on all of them, with all of the data sets `held_out` held out; where there are none
/// of these, as [`open_all`]. A file that is in both is held out.
///
/// # Errors
/// Those of [`open`], and [`DataError::Both`] where one set is asked for as both.
pub fn open_for(data: &[String], held_out: &[String]) -> Result<(Arc<dyn Source>, Split), DataError> {
    if held_out.is_empty() {
        return open_all(data);
    }
    if let Some(both) = data.iter().find(|spec| held_out.contains(spec)) {
        return Err(DataError::Both { spec: both.clone() });
    }
    // What comes first is kept.
    let mut sets = self::sets(held_out);
    let first = sets.len();
    sets.extend(self::sets(data));
    let sources = each(&sets, platform::threads(), |set| open_set(set))?;
    let kept = kept(&sets, &sources);
    let parts = sources.into_iter().zip(kept).map(|(source, kept)| match kept {
        None => source,
        Some(indices) => Arc::new(Part { source, indices }) as Arc<dyn Source>,
    });
    let parts: Vec<Arc<dyn Source>> = parts.collect();
    let first: usize = parts[..first].iter().map(|part| part.len()).sum();
    let source = join(parts);
    let split = Split { train: (first..source.len()).collect(), held_out: (0..first).collect() };
    Ok((source, split))
}

/// Of each of the `sources` that `sets` tell the pictures that are files of no other before it, where these are not all
/// of its pictures.
fn kept(sets: &[Set], sources: &[Arc<dyn Source>]) -> Vec<Option<Vec<usize>>> {
    let of_files = |source: &&Arc<dyn Source>| !source.is_empty() && source.place(0).is_some();
    if sources.iter().filter(of_files).count() < 2 {
        return vec![None; sources.len()];
    }
    let (mut places, mut spare, mut all) = (Places::default(), 0, Vec::<Option<Vec<usize>>>::new());
    for (at, source) in sources.iter().enumerate() {
        if let Some(twin) = sets[..at].iter().position(|set| *set == sets[at]) {
            all.push(all[twin].clone());
            continue;
        }
        let free = |index: &usize| source.place(*index).is_none_or(|place| places.take(place));
        let kept: Vec<usize> = (0..source.len()).filter(free).collect();
        spare += source.len() - kept.len();
        all.push((kept.len() < source.len()).then_some(kept));
    }
    if spare > 0 {
        log::warn!(
            "left out {spare} pictures that are in several of the data sets, so that none is both trained on and held out"
        );
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_holds_out_what_it_holds_out_alone() {
        let (alone, split_alone) = open_all(&["sample".to_owned()]).expect("a source");
        let (both, split_both) = open_all(&["sample".to_owned(), "sample".to_owned()]).expect("a source");
        assert_eq!(both.len(), 2 * alone.len());
        let twice: Vec<usize> =
            split_alone.held_out.iter().copied().chain(split_alone.held_out.iter().map(|i| i + alone.len())).collect();
        assert_eq!(split_both.held_out, twice);
        assert_eq!(both.name(alone.len() + 3), alone.name(3));
        assert_eq!(both.load(alone.len(), None).expect("a picture"), alone.load(0, None).expect("a picture"));
    }

    #[test]
    fn sets_of_one_s_own_are_held_out_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        for (set, names) in [("train", &["a", "b", "c"][..]), ("test", &["d", "e"])] {
            std::fs::create_dir(path(set)).expect("a folder");
            for name in names {
                let file = folder.path().join(set).join(format!("{name}.png"));
                image::RgbImage::new(2, 2).save(file).expect("written");
            }
        }
        // A list of one set that also names a picture of the other.
        std::fs::write(path("list.txt"), "train/a.png\ntest/d.png\ntrain/c.png\n").expect("written");
        let names = |source: &dyn Source, indices: &[usize]| -> Vec<String> {
            indices.iter().map(|index| source.name(*index).to_owned()).collect()
        };
        for (data, train) in
            [("train", &["a.png", "b.png", "c.png"][..]), ("list.txt", &["train/a.png", "train/c.png"])]
        {
            let (source, split) = open_for(&[path(data)], &[path("test")]).expect("sets");
            assert_eq!(names(source.as_ref(), &split.train), train);
            assert_eq!(names(source.as_ref(), &split.held_out), ["d.png", "e.png"]);
        }
        let error = open_for(&[path("train")], &[path("train")]).err().expect("both").to_string();
        assert!(error.contains(&path("train")) && error.contains("held out"), "{error}");
        let (_, split) = open_for(&[path("train")], &[]).expect("a set");
        assert_eq!((split.train.len(), split.held_out.len()), (2, 1));
    }
}
