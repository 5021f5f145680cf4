//! A decoded picture.

/// A decoded picture in main memory, upright and opaque.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Name in its source, such as `animal/cat_erasers.jpg`.
    pub name: String,
    /// Width in pixels, at least 1.
    pub width: u32,
    /// Height in pixels, at least 1.
    pub height: u32,
    /// `[height, width, 4]` bytes, rows from top to bottom: red, green and blue in sRGB, then
    /// a byte that is always 255.
    pub pixels: Vec<u8>,
}
