//! What can go wrong between a data set and its pixels.

use std::path::PathBuf;

use thiserror::Error;

/// Most names in a message.
const FEW: usize = 5;

/// The first few of `names`, and how many more of `count` there are.
pub fn few(names: &[String], count: usize) -> String {
    let named = &names[..names.len().min(FEW)];
    let more = match count.saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    named.join(", ") + &more
}

/// The files of a folder of which none can be decoded, where `tried` of them were tried.
fn of_files(tried: usize, files: usize) -> String {
    match tried < files {
        true => format!("the {tried} that were tried of its {files} picture files"),
        false => format!("its {files} picture files"),
    }
}

/// Why a picture or a data set cannot be used. Each message names the file or folder, what was
/// found there and what was expected.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataError {
    /// Pictures that were handed to another process.
    #[error("the pictures were handed over, to a window or a page, and not told where they lie")]
    Given,

    /// The file's first bytes are those of no supported format.
    #[error("{name}: not a picture: expected JPEG, PNG, WebP, BMP, GIF or TIFF, found {found}")]
    Unrecognised {
        /// Name of the picture in its source.
        name: String,
        /// The first bytes, in words.
        found: String,
    },

    /// The file announces a picture without pixels, or too large a one.
    #[error(
        "{name}: {width}x{height} pixels, expected 1 to {} million pixels",
        super::MAX_PIXELS / 1_000_000
    )]
    Size {
        /// Name of the picture in its source.
        name: String,
        /// Announced width in pixels.
        width: u32,
        /// Announced height in pixels.
        height: u32,
    },

    /// The file is damaged, cut short, or uses a part of its format that is not supported.
    #[error("{name}: cannot be decoded as {format}: {reason}")]
    Decode {
        /// Name of the picture in its source.
        name: String,
        /// The format that its first bytes announce.
        format: &'static str,
        /// The decoder's explanation.
        reason: String,
    },

    /// The file or folder cannot be read.
    #[error("{name}: cannot be read: {reason}")]
    Read {
        /// Name of the picture in its source, or the folder's path.
        name: String,
        /// The system's explanation.
        reason: String,
    },

    /// A file that should hold many pictures cannot be used.
    #[error("{name}: cannot be used as {kind}: {reason}")]
    Container {
        /// The file.
        name: String,
        /// What its first bytes announce.
        kind: &'static str,
        /// What is wrong.
        reason: String,
    },

    /// A file is no data set.
    #[error(
        "{name}: not a data set: expected pictures, a folder, a list ending in .txt, or a tar, zip, IDX, NumPy or Parquet \
         file; found {found}"
    )]
    NoContainer {
        /// The file.
        name: String,
        /// The first bytes, in words.
        found: String,
    },

    /// The data set does not exist.
    #[error("{}: no such folder or file, expected pictures", path.display())]
    NoSuchFolder {
        /// The folder asked for.
        path: PathBuf,
    },

    /// The data set's path leads to something other than a folder.
    #[error("{}: not a folder, expected a folder of pictures", path.display())]
    NotAFolder {
        /// The folder asked for.
        path: PathBuf,
    },

    /// A set was asked for to be trained on and to be held out.
    #[error("{spec}: it is both to be trained on and to be held out or tested, expected one of these")]
    Both {
        /// The set.
        spec: String,
    },

    /// The folder and those below it hold no file with a picture's extension.
    #[error(
        "{}: no picture in this folder or below, expected files ending in {}",
        path.display(),
        super::EXTENSIONS.join(", ")
    )]
    NoPictures {
        /// The folder asked for.
        path: PathBuf,
    },

    /// The folder holds picture files, but not one that decodes.
    #[error(
        "{}: none of {} can be decoded, expected at least one; the first: {first}",
        path.display(),
        of_files(*tried, *files)
    )]
    NoReadablePicture {
        /// The folder asked for.
        path: PathBuf,
        /// Number of files with a picture's extension.
        files: usize,
        /// How many of them were tried, from everywhere among them.
        tried: usize,
        /// What is wrong with the first of them.
        first: Box<DataError>,
    },

    /// A set does not tell what one of its pictures shows.
    #[error(
        "{name}: it has no class label; expected pictures in one folder per class, a list with labels behind a \
         tab, a .cls file beside each picture of a tar archive, a column of labels in a Parquet file, or --labels"
    )]
    NoLabel {
        /// Name of the picture.
        name: String,
    },

    /// All pictures show the same.
    #[error("all pictures are of one class, {class}; expected at least two classes")]
    OneClass {
        /// The class.
        class: String,
    },

    /// No picture shows what another one shows.
    #[error(
        "each of the {count} pictures is of a class of its own, the first of \"{class}\"; expected classes of several \
         pictures{hint}"
    )]
    NoneAlike {
        /// How many there are.
        count: usize,
        /// The first class.
        class: String,
        /// What may be wrong with all of them; may be empty.
        hint: &'static str,
    },

    /// A class that the set which is learned from does not have.
    #[error("class {class} of the test pictures does not occur in --data; expected one of its {classes} classes")]
    UnknownClass {
        /// The class.
        class: String,
        /// How many there are.
        classes: usize,
    },
}

impl DataError {
    /// Name of the picture, where it is one that cannot be had.
    pub fn picture(&self) -> Option<&str> {
        match self {
            DataError::Unrecognised { name, .. }
            | DataError::Size { name, .. }
            | DataError::Decode { name, .. }
            | DataError::Read { name, .. } => Some(name),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_of_many_names_are_told() {
        let names: Vec<String> = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).into();
        assert_eq!(few(&names[..2], 2), "a, b");
        assert_eq!(few(&names[..2], 3), "a, b and 1 more");
        assert_eq!(few(&names, 6), "a, b, c, d, e and 1 more");
        assert_eq!(few(&[], 0), "");
    }
}
