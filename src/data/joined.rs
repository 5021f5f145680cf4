//! Several data sets as one.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::relative_name;
use super::parallel::each;
use super::picture_files::{self, common, is_picture};
use super::places::Places;
use super::{DataError, Picture, Raw, SAMPLE, Source, Split, open, split};
use crate::platform;

/// Sources one after the other.
struct Joined {
    sources: Vec<Arc<dyn Source>>,
    /// Where each begins.
    starts: Vec<usize>,
    len: usize,
    /// Names of all pictures, where those that the sources give them would not tell them apart.
    names: Option<Vec<String>>,
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

    fn distinct_name(&self, index: usize) -> &str {
        match &self.names {
            Some(names) => &names[index],
            None => self.name(index),
        }
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
pub fn join(sources: Vec<Arc<dyn Source>>) -> Arc<dyn Source> {
    join_named(sources, None)
}

fn join_named(mut sources: Vec<Arc<dyn Source>>, names: Option<Vec<String>>) -> Arc<dyn Source> {
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
    Arc::new(Joined { sources, starts, len, names })
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
/// Where names of different sets are the same, [distinct ones](Source::distinct_name) begin with the folders of their sets.
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
    let names = distinct_names(&sets, &parts);
    Ok((join_named(parts, names), joint))
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
    let names = distinct_names(&sets, &parts);
    let source = join_named(parts, names);
    let split = Split { train: (first..source.len()).collect(), held_out: (0..first).collect() };
    Ok((source, split))
}

/// Names of all pictures of the `sources` that `sets` tell, where pictures of different ones have the same: with the folder
/// of the set before them, from the folder on that holds all sets. The very same set may be there more than once.
fn distinct_names(sets: &[Set], sources: &[Arc<dyn Source>]) -> Option<Vec<String>> {
    let folders = folders(sets);
    // So are shards that lie side by side, which may hold very many.
    if folders.iter().all(String::is_empty) {
        return None;
    }
    let mut taken = HashSet::new();
    let mut others = sources.iter().enumerate().filter(|(at, _)| !sets[..*at].contains(&sets[*at]));
    if !others.any(|(_, source)| (0..source.len()).any(|index| !taken.insert(source.name(index)))) {
        return None;
    }
    let named = sources.iter().zip(&folders).flat_map(|(source, folder)| {
        let slash = if folder.is_empty() { "" } else { "/" };
        (0..source.len()).map(move |index| format!("{folder}{slash}{}", source.name(index)))
    });
    Some(named.collect())
}

/// The folder of each set, from the folder on that holds all of them, which is an empty name.
fn folders(sets: &[Set]) -> Vec<String> {
    let folder = |set: &Set| {
        let full = set.iter().filter(|spec| *spec != SAMPLE).map(picture_files::absolute);
        let folders = full.map(|path| match path.is_dir() {
            true => path,
            // The names of what is in a file begin with the file's.
            false => path.parent().map(Path::to_owned).unwrap_or(path),
        });
        let folders: Vec<PathBuf> = folders.collect();
        (!folders.is_empty()).then(|| common(folders.iter().map(PathBuf::as_path)))
    };
    let folders: Vec<Option<PathBuf>> = sets.iter().map(folder).collect();
    let all = common(folders.iter().flatten().map(PathBuf::as_path));
    let name = |folder: &Option<PathBuf>| folder.as_deref().map_or(SAMPLE.to_owned(), |path| relative_name(&all, path));
    folders.iter().map(name).collect()
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
    use crate::data::Labels;

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
    fn names_of_several_sets_are_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["in/c1/a/x.png", "c2/a/x.png", "c2/a/y.png", "c3/z.png"] {
            std::fs::create_dir_all(folder.path().join(name).parent().expect("a folder")).expect("a folder");
            image::RgbImage::new(2, 2).save(path(name)).expect("written");
        }
        std::fs::write(path("c3/list.txt"), "../c3/z.png").expect("written");
        let names = |source: &dyn Source| -> Vec<String> {
            (0..source.len()).map(|index| source.distinct_name(index).to_owned()).collect()
        };
        let specs = ["in/c1", "c2", "c3/list.txt"].map(path);
        let (alone, split_alone) = open_all(&specs[1..2]).expect("a set");
        assert_eq!(names(alone.as_ref()), ["a/x.png", "a/y.png"]);
        let (both, split) = open_all(&specs[..2]).expect("sets");
        assert_eq!(names(both.as_ref()), ["in/c1/a/x.png", "c2/a/x.png", "c2/a/y.png"]);
        assert_eq!((both.name(1), both.load(1, None).expect("a picture").name), ("a/x.png", "a/x.png".to_owned()));
        assert_eq!(both.folders(1), "a");
        // Labels may be of both sets, or of one by itself.
        for (lines, want) in
            [("in/c1/a/x.png\tcat\nc2/a/x.png\tdog\n", ["cat", "dog"]), ("a/x.png\tcow\n", ["cow", "cow"])]
        {
            std::fs::write(path("labels"), lines).expect("written");
            let labels = Labels::of_file(path("labels").as_ref(), both.as_ref(), &[0, 1]).expect("labels");
            assert_eq!([0, 1].map(|at| labels.classes[labels.of[at]].as_str()), want);
        }
        // What is held out is chosen by the names in a set.
        assert_eq!(split.held_out, split_alone.held_out.iter().map(|index| index + 1).collect::<Vec<_>>());
        let (held_out, _) = open_for(&specs[..1], &specs[1..2]).expect("sets");
        assert_eq!(names(held_out.as_ref()), ["c2/a/x.png", "c2/a/y.png", "in/c1/a/x.png"]);
        // A list lies in its folder; where names differ, and of a set that is there twice, they stay.
        let (all, _) = open_all(&specs).expect("sets");
        assert_eq!(all.distinct_name(3), "c3/../c3/z.png");
        let (differing, _) = open_all(&[&specs[1..], &specs[1..2]].concat()).expect("sets");
        assert_eq!(names(differing.as_ref()), ["a/x.png", "a/y.png", "../c3/z.png", "a/x.png", "a/y.png"]);
        assert_eq!(folders(&[vec![SAMPLE.to_owned()], vec![path("c2")]]), [SAMPLE, ""]);
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
