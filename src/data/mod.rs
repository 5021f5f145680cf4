//! Sources of pictures, decoding, sampling and prefetch. Knows nothing of the GPU.
//!
//! A [`Source`] is a numbered list of pictures: the sample photographs inside the program
//! ([`SampleSource`]), a folder ([`FolderSource`]), or what [`open`] finds in an archive, an array
//! or a list. [`split()`] sets a tenth of it aside,
//! [`Sampler`] shuffles the rest epoch by epoch, and [`load_all`] or [`Prefetch`] decode it on
//! worker threads into [`Picture`]s; [`load_all_beside`] and [`Prefetch::ready`] let a page's
//! workers do so.

mod archive;
mod array;
mod beside;
mod census;
mod container;
mod decode;
mod error;
mod folder;
mod given;
mod idx;
mod joined;
mod jpeg;
mod labels;
mod list;
mod loader;
mod npy;
mod npy_element;
mod npz;
mod open;
mod parallel;
#[cfg(feature = "parquet")]
mod parquet;
mod passed_over;
mod picture;
mod picture_files;
mod places;
mod prefetch;
mod room;
mod sample;
mod sampler;
mod shrink;
mod source;
mod split;
mod tar;
mod text;
mod tiff;
mod watched;
mod zip;

pub use beside::load_all_beside;
pub use census::{Census, PixelStats, census};
pub use container::{CONTAINERS, is_container, open_container, open_file, open_given};
pub use decode::{MAX_PIXELS, decode};
pub use error::{DataError, few};
pub use folder::{EXTENSIONS, FolderSource, MAX_FILE_BYTES};
pub use given::GivenSource;
pub use joined::{open_all, open_for};
pub use labels::Labels;
pub use loader::{Loaded, load_all};
pub use open::{GIVEN, SAMPLE, absolute, choose, open};
pub use passed_over::PassedOver;
pub use picture::Picture;
pub use prefetch::Prefetch;
pub use sample::SampleSource;
pub use sampler::Sampler;
pub use source::{Raw, Source};
pub use split::{Split, split};
pub use text::{cell, read_text};
