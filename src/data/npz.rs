//! NumPy's `.npz` files, zip archives of arrays: pictures, and labels that belong to them.

use std::sync::Arc;

use super::archive::{Member, Packing, unpack};
use super::error::few;
use super::joined::join;
use super::npy::Array;
use super::watched::Watched;
use super::{Labels, Source};
use crate::platform::Bytes;

/// Words in the names of arrays that hold pictures.
const PICTURES: &[&str] = &["x", "data", "image", "images", "img", "imgs", "picture", "pictures"];
/// Words in the names of arrays that tell what pictures show.
const LABELS: &[&str] = &["y", "class", "classes", "label", "labels", "target", "targets"];

/// An array and its name.
type Named = (String, Array);

/// The arrays of pictures among the `members` of the archive called `name`, if there are any, labelled by others of them.
/// What cannot be used goes to `left_out`.
pub fn pictures(
    name: &str,
    bytes: &Watched,
    members: Vec<Member>,
    left_out: &mut Vec<String>,
) -> Option<Arc<dyn Source>> {
    let (arrays, beside) = sorted(bytes, members, left_out);
    let taken: Vec<Option<usize>> = arrays.iter().map(|array| labels_of(array, &arrays, &beside)).collect();
    for (index, (name, array)) in beside.iter().enumerate() {
        // Of a row of numbers nobody wants to be told.
        if array.shape.len() > 1 && !taken.contains(&Some(index)) {
            left_out.push(format!("{name} (an array of shape {:?}, taken for labels)", array.shape));
        }
    }
    let (mut sources, mut names): (Vec<Arc<dyn Source>>, Vec<String>) = (Vec::new(), Vec::new());
    for ((array_name, array), taken) in arrays.into_iter().zip(taken) {
        let source = match array.pictures(&array_name) {
            Ok(source) => source,
            Err(reason) => {
                left_out.push(format!("{array_name} ({reason})"));
                continue;
            }
        };
        let labels = taken.map(|index| &beside[index]).and_then(|(name, array)| match array.labels() {
            Ok(words) => Some(Labels::new(words.iter().map(String::as_str).collect())),
            Err(reason) => {
                left_out.push(format!("{name} ({reason})"));
                None
            }
        });
        sources.push(Arc::new(source.labelled(labels)));
        names.push(array_name);
    }
    if names.len() > 1 {
        log::warn!("{name}: several arrays of pictures are taken as one set: {}", few(&names, names.len()));
    }
    if sources.is_empty() { None } else { Some(join(sources)) }
}

/// The arrays in `members` of which there may be pictures, and those that tell of pictures instead.
fn sorted(bytes: &Watched, members: Vec<Member>, left_out: &mut Vec<String>) -> (Vec<Named>, Vec<Named>) {
    let mut arrays = Vec::new();
    for member in members {
        let name = member.name.trim_end_matches(".npy").to_owned();
        match array(bytes, &member) {
            Ok(array) => arrays.push((name, array)),
            Err(reason) => left_out.push(format!("{name} ({reason})")),
        }
    }
    let counts: Vec<u64> = arrays.iter().filter(|(_, a)| a.shape.len() > 2).filter_map(|(_, a)| a.count()).collect();
    arrays.into_iter().partition(|(_, array)| !lies_beside(&array.shape, &counts))
}

/// Whether an array of this shape tells of pictures instead of being one, beside others with these `counts` of them: its
/// one axis, row or column, or a row a picture.
fn lies_beside(shape: &[u64], counts: &[u64]) -> bool {
    match shape {
        [rows, columns] => *rows == 1 || *columns == 1 || counts.contains(rows),
        shape => shape.len() < 2,
    }
}

/// Which of the arrays `beside` holds the labels of this one's pictures: one for each, and a name that says so. Of
/// several the one that is named alike, as `y_train` beside `x_train`; and so where `all` pictures are in several arrays
/// of as many.
fn labels_of((name, array): &Named, all: &[Named], beside: &[Named]) -> Option<usize> {
    let count = array.count()?;
    let alone = all.iter().filter(|(_, other)| other.count() == Some(count)).count() == 1;
    let fits = |(label, told): &Named| {
        let shaped = matches!(*told.shape, [rows] | [rows, 1] if rows == count);
        shaped && words(label).any(|word| LABELS.contains(&word.as_str()))
    };
    let fitting: Vec<usize> = (0..beside.len()).filter(|index| fits(&beside[*index])).collect();
    let set = |name: &str, of: &[&str]| words(name).filter(|word| !of.contains(&word.as_str())).collect::<Vec<_>>();
    let alike = |index: &&usize| set(&beside[**index].0, LABELS) == set(name, PICTURES);
    match *fitting {
        [one] if alone => Some(one),
        _ => fitting.iter().find(alike).copied(),
    }
}

/// The words of an array's name, in small letters.
fn words(name: &str) -> impl Iterator<Item = String> {
    let own = name.rsplit('/').next().unwrap_or_default();
    own.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase)
}

/// The array in `member`, which stays where it lies unless it is packed.
fn array(bytes: &Watched, member: &Member) -> Result<Array, String> {
    match member.packing {
        Packing::Stored if member.stored == member.size => {
            let end = member.at.checked_add(member.size).ok_or("has no place in the archive")?;
            Array::read(bytes, member.at..end)
        }
        _ => {
            let unpacked = Watched::new(Bytes::Memory(unpack(member, |at, count| bytes.read(at, count))?.into()));
            Array::read(&unpacked, 0..unpacked.size())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_of_pictures_is_none() {
        for shape in [&[50_000][..], &[50_000, 1], &[1, 7], &[60_000, 10], &[60_000, 28]] {
            assert!(lies_beside(shape, &[10, 60_000]), "{shape:?}");
        }
        for shape in [&[28, 28][..], &[60_000, 28, 28], &[60_000, 1, 1]] {
            assert!(!lies_beside(shape, &[60_000]), "{shape:?}");
        }
    }
}
