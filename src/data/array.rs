//! Arrays of pictures: pixels one after the other in a file.

use std::ops::Range;
use std::sync::Arc;

use super::{DataError, Labels, MAX_PIXELS, Picture, Raw, Source};
use crate::platform::Bytes;

/// Number types of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Bytes, 0 to 255.
    U8,
    /// 32-bit floats, 0 to 1.
    F32,
    /// 64-bit floats, 0 to 1.
    F64,
}

impl Number {
    fn size(self) -> u64 {
        match self {
            Number::U8 => 1,
            Number::F32 => 4,
            Number::F64 => 8,
        }
    }
}

/// How an array is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Pictures.
    pub count: u64,
    /// Height and width in pixels.
    pub size: [u32; 2],
    /// 1, 3 or 4.
    pub channels: u32,
    /// Whether channels are planes (the axis before height) instead of the last axis.
    pub planes: bool,
    /// Type of a number.
    pub number: Number,
}

impl Layout {
    /// Of an array of `shape`: `[N, H, W]`, `[N, H, W, C]`, `[N, C, H, W]`, or one picture `[H, W]` or `[H, W, C]`,
    /// with 1, 3 or 4 channels.
    pub fn of(shape: &[u64], number: Number) -> Result<Layout, String> {
        let channels = |extent: u64| matches!(extent, 1 | 3 | 4);
        let (count, height, width, colours, planes) = match *shape {
            [h, w] => (1, h, w, 1, false),
            [h, w, c] if matches!(c, 3 | 4) => (1, h, w, c, false),
            [n, h, w] => (n, h, w, 1, false),
            [n, h, w, c] if channels(c) => (n, h, w, c, false),
            [n, c, h, w] if channels(c) => (n, h, w, c, true),
            _ => {
                let expected = "[N, H, W], [N, H, W, C] or [N, C, H, W] with 1, 3 or 4 channels";
                return Err(format!("an array of shape {shape:?}; expected {expected}"));
            }
        };
        let fits = height.checked_mul(width).is_some_and(|pixels| (1..=MAX_PIXELS).contains(&pixels));
        if count == 0 || !fits {
            return Err(format!(
                "an array of shape {shape:?}; expected pictures of 1 to {} million pixels",
                MAX_PIXELS / 1_000_000
            ));
        }
        // At most MAX_PIXELS, and 4.
        Ok(Layout { count, size: [height as u32, width as u32], channels: colours as u32, planes, number })
    }

    /// Bytes of a picture.
    fn bytes(&self) -> u64 {
        let [height, width] = self.size.map(u64::from);
        height * width * u64::from(self.channels) * self.number.size()
    }
}

/// The pictures of an array, named by their numbers.
#[derive(Debug)]
pub struct ArraySource {
    bytes: Arc<Bytes>,
    at: u64,
    layout: Layout,
    names: Vec<String>,
    labels: Option<Labels>,
}

impl ArraySource {
    /// The array called `name` at the bytes `place` of a file.
    ///
    /// # Errors
    /// What is wrong, where its place or the file ends before the array does.
    pub fn new(name: &str, bytes: Arc<Bytes>, place: Range<u64>, layout: Layout) -> Result<ArraySource, String> {
        let (at, end) = (place.start, place.end.min(bytes.size()));
        let need = layout.count.checked_mul(layout.bytes()).and_then(|need| need.checked_add(at));
        if need.is_none_or(|need| need > end) {
            return Err(format!(
                "{} pictures of {} bytes each do not fit into its {} bytes",
                layout.count,
                layout.bytes(),
                end.saturating_sub(at)
            ));
        }
        let digits = layout.count.saturating_sub(1).to_string().len();
        let names = (0..layout.count).map(|index| format!("{name}/{index:0digits$}")).collect();
        Ok(ArraySource { bytes, at, layout, names, labels: None })
    }

    /// The same pictures, which show what `labels` tells, if anything does.
    pub fn labelled(self, labels: Option<Labels>) -> ArraySource {
        ArraySource { labels, ..self }
    }
}

impl Source for ArraySource {
    fn len(&self) -> usize {
        self.names.len()
    }

    fn name(&self, index: usize) -> &str {
        &self.names[index]
    }

    fn label(&self, index: usize) -> Option<&str> {
        let labels = self.labels.as_ref()?;
        labels.of.get(index).map(|class| labels.classes[*class].as_str())
    }

    fn folders(&self, _index: usize) -> &str {
        // An array lies in none: its own name tells nothing of a single picture.
        ""
    }

    fn read(&self, index: usize) -> Result<Raw<'_>, DataError> {
        let name = self.names[index].clone();
        let fail = |reason: String| DataError::Read { name: name.clone(), reason };
        let length = self.layout.bytes();
        let bytes = self.bytes.read(self.at + index as u64 * length, length);
        let bytes = bytes.map_err(|error| fail(error.to_string()))?;
        let levels = levels(self.layout.number, bytes).map_err(fail)?;
        let [height, width] = self.layout.size;
        let (area, channels) = (height as usize * width as usize, self.layout.channels as usize);
        let (across, along) = if self.layout.planes { (1, area) } else { (channels, 1) };
        let level = |pixel: usize, channel: usize| levels[pixel * across + channel.min(channels - 1) * along];
        // A fourth channel is opacity, which arrays of photographs carry along unused.
        let pixels = (0..area).flat_map(|pixel| [level(pixel, 0), level(pixel, 1), level(pixel, 2), 255]).collect();
        Ok(Raw::Pixels(Picture { name, width, height, pixels }))
    }
}

/// Numbers as bytes.
fn levels(number: Number, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let level = |value: f64| match (0.0..=1.0).contains(&value) {
        true => Ok((value * 255.0).round() as u8),
        false => Err(format!("a pixel of {value}; expected numbers from 0 to 1")),
    };
    match number {
        Number::U8 => Ok(bytes),
        Number::F32 => bytes.as_chunks::<4>().0.iter().map(|&chunk| level(f32::from_le_bytes(chunk).into())).collect(),
        Number::F64 => bytes.as_chunks::<8>().0.iter().map(|&chunk| level(f64::from_le_bytes(chunk))).collect(),
    }
}
