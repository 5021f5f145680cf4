//! The data room from outside: decoding, sources, splitting and loading.

mod containers;
mod damage;
mod decoding;
mod members;
mod prefetch;
mod sources;

use std::io::Cursor;
use std::sync::{Mutex, Once, PoisonError};

use image::{DynamicImage, ImageBuffer, ImageFormat, Rgb};

const FORMATS: [(ImageFormat, &str); 6] = [
    (ImageFormat::Jpeg, "JPEG"),
    (ImageFormat::Png, "PNG"),
    (ImageFormat::WebP, "WebP"),
    (ImageFormat::Bmp, "BMP"),
    (ImageFormat::Gif, "GIF"),
    (ImageFormat::Tiff, "TIFF"),
];

const RED: [u8; 3] = [220, 30, 30];
const GREEN: [u8; 3] = [30, 200, 30];
const BLUE: [u8; 3] = [30, 30, 210];
const WHITE: [u8; 3] = [240, 240, 240];

/// 48x32 pixels in four plain quarters: red and green above blue and white.
fn quarters() -> DynamicImage {
    DynamicImage::ImageRgb8(ImageBuffer::from_fn(48, 32, |x, y| {
        Rgb(match (x < 24, y < 16) {
            (true, true) => RED,
            (false, true) => GREEN,
            (true, false) => BLUE,
            (false, false) => WHITE,
        })
    }))
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A TIFF file with a second page, which is the first again.
fn stack(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = encode(image, ImageFormat::Tiff);
    assert_eq!(bytes[..4], *b"II\x2a\0");
    let first = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    let entries = usize::from(u16::from_le_bytes(bytes[first..first + 2].try_into().unwrap()));
    let directory = bytes[first..first + 2 + 12 * entries + 4].to_vec();
    // Directories begin at even offsets.
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let second = bytes.len() as u32;
    bytes[first + 2 + 12 * entries..][..4].copy_from_slice(&second.to_le_bytes());
    bytes.extend(directory);
    bytes
}

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    encode(&image.into(), ImageFormat::Png)
}

/// Keeps the log's lines.
struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        let line = format!("{} {}", record.level(), record.args());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn flush(&self) {}
}

/// From now on warnings are kept, those of other tests too.
fn listen() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        log::set_logger(&LINES).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
}

/// How many lines that begin with `start` were logged.
fn logged(start: &str) -> usize {
    let lines = LINES.0.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().filter(|line| line.starts_with(start)).count()
}
