//! Which class each picture is of: what a set tells of its pictures, or a file of labels.

use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::npy::{Array, is_npy};
use super::text::{cell, text};
use super::watched::Watched;
use super::{DataError, Source};
use crate::platform::Bytes;

/// First bytes of files compressed by gzip.
const GZIP: &[u8] = &[0x1f, 0x8b];
/// First bytes of an IDX file of labels: unsigned bytes along one axis.
const IDX: &[u8] = &[0, 0, 8, 1];
/// So few pictures may well be of a class each.
const FEW: usize = 4;
/// Most bytes of a file of labels, unpacked.
const MOST_BYTES: u64 = 1 << 30;

/// A class for each picture of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// Names of the classes, numbers in their order where all are numbers.
    pub classes: Vec<String>,
    /// Class of each picture.
    pub of: Vec<usize>,
}

impl Labels {
    /// What the pictures `indices` of `source` show, in that order: what it [says itself](Source::label), or else the
    /// outermost folder, as torchvision's `ImageFolder` has it. Folders that all of these pictures lie in tell nothing apart
    /// and are passed over, as `train` in `train/cat/1.jpg`, as long as there are others inside.
    pub fn told<'a>(source: &'a dyn Source, indices: &[usize]) -> Vec<Option<&'a str>> {
        let unsaid = indices.iter().filter(|index| source.label(**index).is_none());
        let common = common(unsaid.map(|index| source.folders(*index)));
        let folder = |index: usize| parts(source.folders(index)).nth(common);
        indices.iter().map(|index| source.label(*index).or_else(|| folder(*index))).collect()
    }

    /// What all pictures of `source` show, see [`Labels::told`].
    ///
    /// # Errors
    /// [`DataError::NoLabel`] where nothing tells of a picture.
    pub fn of_source(source: &dyn Source) -> Result<Labels, DataError> {
        Labels::of_pictures(source, &(0..source.len()).collect::<Vec<_>>())
    }

    /// What the pictures `indices` of `source` show, in that order, see [`Labels::told`].
    ///
    /// # Errors
    /// [`DataError::NoLabel`] where nothing tells of one.
    pub fn of_pictures(source: &dyn Source, indices: &[usize]) -> Result<Labels, DataError> {
        let told = Labels::told(source, indices).into_iter().zip(indices);
        let words =
            told.map(|(word, index)| word.ok_or_else(|| DataError::NoLabel { name: source.name(*index).to_owned() }));
        Ok(Labels::new(words.collect::<Result<_, _>>()?))
    }

    /// The labels of the pictures `indices` of `source` in the file at `path`: an IDX file or a NumPy array (`.npy`), plain or
    /// compressed by gzip, or a text with a label a line, of which what stands behind the last tab counts. Where each line
    /// has a picture's name before its first tab, labels are found by name, and names of other pictures are passed over;
    /// else they come in the order of the pictures.
    ///
    /// # Errors
    /// A file that cannot be read, that holds another number of labels, that has none for one of the names, or two.
    pub fn of_file(path: &Path, source: &dyn Source, indices: &[usize]) -> Result<Labels, DataError> {
        let name = path.display().to_string();
        let fail = |reason: String| DataError::Container { name: name.clone(), kind: "a file of labels", reason };
        let read = |error: std::io::Error| DataError::Read { name: name.clone(), reason: error.to_string() };
        let mut bytes = std::fs::read(path).map_err(read)?;
        if bytes.starts_with(GZIP) {
            let mut unpacked = Vec::new();
            MultiGzDecoder::new(bytes.as_slice()).take(MOST_BYTES).read_to_end(&mut unpacked).map_err(read)?;
            bytes = unpacked;
        }
        let told = if is_npy(&bytes) { npy_labels(bytes) } else { labels(&bytes) }.map_err(fail)?;
        let words = told.of(source, indices).map_err(fail)?;
        Ok(Labels::new(words.iter().map(String::as_str).collect()))
    }

    /// Those of pictures in the order of `words`.
    pub(super) fn new(words: Vec<&str>) -> Labels {
        let mut classes: Vec<&str> = words.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        if classes.iter().all(|class| class.parse::<i64>().is_ok()) {
            classes.sort_by_key(|class| class.parse::<i64>().unwrap_or_default());
        }
        let numbers: HashMap<&str, usize> =
            classes.iter().enumerate().map(|(number, class)| (*class, number)).collect();
        let of = words.iter().map(|word| numbers[word]).collect();
        Labels { classes: classes.into_iter().map(str::to_owned).collect(), of }
    }

    /// The same labels, if there is anything to tell apart.
    ///
    /// # Errors
    /// [`DataError::OneClass`].
    pub fn several(self) -> Result<Labels, DataError> {
        match self.classes.as_slice() {
            [class] => Err(DataError::OneClass { class: class.clone() }),
            _ => Ok(self),
        }
    }

    /// Fails where none of many pictures shows what another one shows, so that none can be told by others; tells of classes
    /// that have a single picture.
    ///
    /// # Errors
    /// [`DataError::NoneAlike`].
    pub fn check_shared(&self) -> Result<(), DataError> {
        let (count, classes) = (self.of.len(), self.classes.len());
        if count > FEW && classes == count {
            let class = self.classes.first().cloned().unwrap_or_default();
            return Err(DataError::NoneAlike { count, class, hint: comma(&self.classes) });
        }
        let mut counts = vec![0; classes];
        self.of.iter().for_each(|class| counts[*class] += 1);
        let lone = counts.iter().filter(|count| **count == 1).count();
        if lone > 0 {
            log::warn!(
                "{lone} of {classes} classes have a single picture, which cannot be both learned from and tested"
            );
        }
        Ok(())
    }

    /// The same pictures by the numbers of `classes`.
    ///
    /// # Errors
    /// [`DataError::UnknownClass`] for one that is not among them.
    pub fn by(&self, classes: &[String]) -> Result<Vec<usize>, DataError> {
        let number = |class: &String| {
            let found = classes.iter().position(|known| known == class);
            found.ok_or_else(|| DataError::UnknownClass { class: class.clone(), classes: classes.len() })
        };
        let numbers = self.classes.iter().map(number).collect::<Result<Vec<_>, _>>()?;
        Ok(self.of.iter().map(|class| numbers[*class]).collect())
    }
}

/// The names in a path of folders.
fn parts(folders: &str) -> impl Iterator<Item = &str> {
    folders.split('/').filter(|part| !part.is_empty() && *part != ".")
}

/// How many of the outermost folders are the same in all of some paths, less those without which one would have none.
fn common<'a>(mut paths: impl Iterator<Item = &'a str>) -> usize {
    let Some(first) = paths.next() else { return 0 };
    let inside = |path: &str| parts(path).count().saturating_sub(1);
    paths.fold(inside(first), |most, path| {
        let same = parts(first).zip(parts(path)).take(most).take_while(|(one, other)| one == other);
        same.count().min(inside(path))
    })
}

/// What is wrong with labels that all look like a name and a label with a comma between.
fn comma(labels: &[String]) -> &'static str {
    match !labels.is_empty() && labels.iter().all(|label| label.contains(',')) {
        true => "; between a name and its label a tab is expected, not a comma",
        false => "",
    }
}

/// What a file of labels tells.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// Labels in the order of the pictures.
    InOrder(Vec<String>),
    /// Names of pictures with the label of each, which may be empty.
    ByName(Vec<(String, String)>),
}

impl Told {
    /// The label of each of the pictures `indices` of `source`.
    fn of(self, source: &dyn Source, indices: &[usize]) -> Result<Vec<String>, String> {
        let lines = match self {
            Told::InOrder(words) if words.len() == indices.len() => return Ok(words),
            Told::InOrder(words) => {
                let (found, count, hint) = (words.len(), indices.len(), comma(&words));
                return Err(format!("it holds {found} labels; expected one for each of {count} pictures{hint}"));
            }
            Told::ByName(lines) => lines,
        };
        let mut labels: HashMap<&str, &str> = HashMap::new();
        for (name, label) in lines.iter().filter(|(_, label)| !label.is_empty()) {
            if let Some(other) = labels.insert(name, label).filter(|other| other != label) {
                return Err(format!("it labels {name} as {other} and as {label}; expected one label a picture"));
            }
        }
        let label = |index: usize| {
            // The file may tell of several sets, or of one of them by itself.
            let [name, own] = [source.distinct_name(index), source.name(index)].map(cell);
            let label = labels.get(name.trim()).or_else(|| labels.get(own.trim()));
            label.map(|label| (*label).to_owned()).ok_or_else(|| {
                let known = lines.first().map_or("", |(name, _)| name);
                format!("it has no label of {name}; expected one for each picture, by names such as its {known}")
            })
        };
        indices.iter().copied().map(label).collect()
    }
}

/// The labels in the bytes of a NumPy array.
fn npy_labels(bytes: Vec<u8>) -> Result<Told, String> {
    let bytes = Watched::new(Bytes::Memory(bytes.into()));
    Array::read(&bytes, 0..bytes.size())?.labels().map(Told::InOrder)
}

/// The labels in the bytes of a file of another kind.
fn labels(bytes: &[u8]) -> Result<Told, String> {
    if let Some(rest) = bytes.strip_prefix(IDX) {
        let Some((count, labels)) = rest.split_first_chunk::<4>() else {
            return Err("it is shorter than its header".to_owned());
        };
        let count = u32::from_be_bytes(*count) as usize;
        let labels = labels.get(..count).ok_or_else(|| format!("it ends before its {count} labels do"))?;
        return Ok(Told::InOrder(labels.iter().map(u8::to_string).collect()));
    }
    let text = text(bytes).map_err(|reason| format!("no IDX file of bytes along one axis; as a text: {reason}"))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let cells = |line: &str| {
        let (name, rest) = line.split_once('\t').unwrap_or(("", line));
        (name.trim().to_owned(), rest.rsplit('\t').next().unwrap_or_default().trim().to_owned())
    };
    let lines: Vec<(String, String)> = lines.map(cells).collect();
    Ok(match !lines.is_empty() && lines.iter().all(|(name, _)| !name.is_empty()) {
        true => Told::ByName(lines),
        false => Told::InOrder(lines.into_iter().map(|(_, label)| label).filter(|label| !label.is_empty()).collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::GivenSource;

    #[test]
    fn numbers_are_sorted_as_numbers() {
        let labels = Labels::new(vec!["10", "9", "9", "1"]);
        assert_eq!((labels.classes.join(" "), labels.of), ("1 9 10".to_owned(), vec![2, 1, 1, 0]));
        let labels = Labels::new(vec!["b", "10", "9"]);
        assert_eq!(labels.classes.join(" "), "10 9 b");
        assert_eq!(Labels::new(vec!["a", "a"]).several(), Err(DataError::OneClass { class: "a".to_owned() }));
    }

    #[test]
    fn classes_of_another_set_are_found_by_name() {
        let labels = |words: &[&str]| Labels::new(words.to_vec());
        let (train, test) = (labels(&["a", "b", "c"]), labels(&["c", "b", "c"]));
        assert_eq!(test.by(&train.classes), Ok(vec![2, 1, 2]));
        assert_eq!(train.by(&test.classes), Err(DataError::UnknownClass { class: "a".to_owned(), classes: 2 }));
    }

    #[test]
    fn folders_that_hold_all_pictures_tell_nothing() {
        for (paths, want) in [
            (&["benign/p1", "benign/p2", "malignant/p3"][..], 0),
            (&["train/cat", "train/dog"], 1),
            (&["set/train/cat/images", "./set/train//dog"], 2),
            (&["/home/me/cat", "/home/me/dog"], 2),
            // Without a folder inside there would be no class at all.
            (&["train/cat", "train"], 0),
            (&["cat", "cat"], 0),
            (&["train/cat", "train/cat"], 1),
            (&["", "cat"], 0),
            (&[], 0),
        ] {
            assert_eq!(common(paths.iter().copied()), want, "{paths:?}");
        }
    }

    #[test]
    fn lines_with_commas_are_no_classes() {
        let labels = |words: &[&str]| Labels::new(words.to_vec());
        let error = labels(&["0.png,a", "1.png,b", "2.png,a", "3.png,b", "4.png,a"]).check_shared();
        assert_eq!(
            error.expect_err("nothing shared").to_string(),
            "each of the 5 pictures is of a class of its own, the first of \"0.png,a\"; expected classes of several \
             pictures; between a name and its label a tab is expected, not a comma"
        );
        let error = labels(&["a", "b", "c", "d", "e"]).check_shared().expect_err("nothing shared").to_string();
        assert!(error.ends_with("expected classes of several pictures"), "{error}");
        for fine in [&["a", "b", "c", "d"][..], &["a", "b", "c", "d", "a"]] {
            assert_eq!(labels(fine).check_shared(), Ok(()));
        }
        let source = GivenSource::new([("0.png".to_owned(), Vec::new())]);
        let error = Told::InOrder(vec!["name,class".into(), "0.png,a".into()]).of(&source, &[0]).expect_err("a head");
        assert!(error.starts_with("it holds 2 labels") && error.ends_with("a tab is expected, not a comma"), "{error}");
    }

    #[test]
    fn labels_with_names_are_found_by_name() {
        let source = GivenSource::new(["a.png", "b\t.png", "c.png"].map(|name| (name.to_owned(), Vec::new())));
        let of = |text: &str| labels(text.as_bytes())?.of(&source, &[0, 1, 2]).map(|labels| labels.join(" "));
        // In any order, with lines of other pictures and with the same line twice.
        assert_eq!(
            of("c.png\tcat\r\nx.png\tcow\n\nb .png\t1\tdog\na.png\tcat\nc.png\tcat\n"),
            Ok("cat dog cat".into())
        );
        // Where one line has no name, all are taken as they come.
        assert_eq!(of("c.png\tcat\ndog\na.png\tcow\n"), Ok("cat dog cow".into()));
        let error = |text: &str| of(text).expect_err("no label of one");
        assert_eq!(
            error("d/a.png\tcat\nb .png\tdog\n"),
            "it has no label of a.png; expected one for each picture, by names such as its d/a.png"
        );
        assert!(error("c.png\tcat\na.png\t\nb .png\tdog\n").contains("no label of a.png"));
        let twice = error("a.png\tcat\nb .png\tdog\nc.png\tcow\na.png\tdog\n");
        assert_eq!(twice, "it labels a.png as cat and as dog; expected one label a picture");
    }

    #[test]
    fn files_of_labels() {
        let texts = |bytes: &[u8]| match labels(bytes) {
            Ok(Told::InOrder(labels)) => Ok(labels.join(" ")),
            told => Err(format!("{told:?}")),
        };
        assert_eq!(texts(&[0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 255]), Ok("7 0 255".to_owned()));
        assert_eq!(texts("\u{feff}cat\r\nx.jpg\tred dog\n\n\t\n".as_bytes()), Ok("cat red dog".to_owned()));
        assert_eq!(texts(b"\xff\xfea\0\n\0b\0\n\0"), Ok("a b".to_owned()));
        for bad in [&[0, 0, 8, 1, 0, 0, 0, 3, 7][..], &[0, 0, 8, 1, 0], &[0xff, 0xfe, 0x00]] {
            assert!(texts(bad).is_err(), "{bad:?}");
        }
    }
}
