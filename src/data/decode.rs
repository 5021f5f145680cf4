//! From the bytes of a picture file to pixels.

use std::io::Cursor;
use std::sync::atomic::{AtomicBool, Ordering};

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbaImage};

use super::jpeg::is_whole;
use super::room::Room;
use super::shrink::{limited_size, shrink};
use super::{DataError, Picture, tiff};

/// The most pixels a picture may have. A larger one is refused before its pixels are allocated.
pub const MAX_PIXELS: u64 = 100_000_000;

/// The most bytes a decoder may allocate: [`MAX_PIXELS`] of four 16 bit channels, and room to work.
const MAX_ALLOC_BYTES: u64 = 1 << 30;

/// Transparent parts show this grey, the middle of each channel.
const BACKGROUND: u32 = 128;

/// Decodes a JPEG, PNG, WebP, BMP, GIF (first frame) or TIFF file (first page), told apart by content.
///
/// The picture comes out upright (EXIF orientation is applied), in 8 bit RGB whatever the file's
/// channels and depth, with transparency composited onto mid grey. Where `limit` is given and the
/// short side exceeds it, the picture is downscaled by area averaging until its short side has
/// `limit` pixels. `name` is the picture's name in its source and begins every error's message.
///
/// # Errors
/// [`DataError::Unrecognised`] for any other content, [`DataError::Size`] for a picture without
/// pixels or of more than [`MAX_PIXELS`], [`DataError::Decode`] for a damaged or truncated file.
pub fn decode(name: &str, bytes: &[u8], limit: Option<u32>) -> Result<Picture, DataError> {
    let (picture, lost) = decode_noting(name, bytes, limit)?;
    lost.warn(name);
    Ok(picture)
}

/// [`decode`] that notes what of the file the picture lacks instead of warning of it.
pub(super) fn decode_noting(name: &str, bytes: &[u8], limit: Option<u32>) -> Result<(Picture, Lost), DataError> {
    let (format_name, mut decoder) = check(name, bytes)?;
    let undecodable =
        |error: ImageError| DataError::Decode { name: name.to_owned(), format: format_name, reason: error.to_string() };
    // Metadata beyond repair says nothing of the pixels.
    let orientation = decoder.orientation().ok();

    let (width, height) = decoder.dimensions();
    let _room = Room::take(decoder.total_bytes() + 4 * u64::from(width) * u64::from(height));
    let decoded = DynamicImage::from_decoder(decoder).map_err(undecodable)?;
    let lost = Lost { dark: dark(&decoded), pages: tiff::pages(bytes) };
    let mut opaque = flatten(decoded);
    if let Some(limit) = limit {
        opaque = limited(opaque, limit);
    }
    let mut upright = DynamicImage::ImageRgba8(opaque);
    if let Some(orientation) = orientation {
        upright.apply_orientation(orientation);
    }
    let picture = Picture {
        name: name.to_owned(),
        width: upright.width(),
        height: upright.height(),
        pixels: upright.into_rgba8().into_raw(),
    };
    Ok((picture, lost))
}

/// A decoder for a file that is whole as far as can be told without decoding it, and not too large.
///
/// # Errors
/// Those of [`decode`].
pub(super) fn check<'a>(name: &str, bytes: &'a [u8]) -> Result<(&'static str, impl ImageDecoder + 'a), DataError> {
    let (format, format_name) = recognise(name, bytes)?;
    let damaged = |reason: String| DataError::Decode { name: name.to_owned(), format: format_name, reason };
    let undecodable = |error: ImageError| {
        damaged(match (&error, tiff::odd_numbers(bytes)) {
            (ImageError::Unsupported(_), Some(kind)) => {
                format!("{kind} pixels are not read; convert to 8 or 16 bits")
            }
            _ => error.to_string(),
        })
    };

    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_ALLOC_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(undecodable)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MAX_PIXELS {
        return Err(DataError::Size { name: name.to_owned(), width, height });
    }
    if decoder.total_bytes() > MAX_ALLOC_BYTES {
        return Err(damaged(format!("{} bytes of pixels, expected at most {MAX_ALLOC_BYTES}", decoder.total_bytes())));
    }
    if format == ImageFormat::Jpeg && !is_whole(bytes) {
        return Err(damaged("the file ends before the picture does".to_owned()));
    }
    Ok((format_name, decoder))
}

/// Tells the format by the first bytes.
pub(super) fn recognise(name: &str, bytes: &[u8]) -> Result<(ImageFormat, &'static str), DataError> {
    let format = image::guess_format(bytes).ok();
    let format_name = match format {
        Some(ImageFormat::Jpeg) => "JPEG",
        Some(ImageFormat::Png) => "PNG",
        Some(ImageFormat::WebP) => "WebP",
        Some(ImageFormat::Bmp) => "BMP",
        Some(ImageFormat::Gif) => "GIF",
        Some(ImageFormat::Tiff) => "TIFF",
        _ => "",
    };
    match format {
        Some(format) if !format_name.is_empty() => Ok((format, format_name)),
        _ => Err(DataError::Unrecognised { name: name.to_owned(), found: first_bytes(bytes) }),
    }
}

/// The first bytes of a file, in words.
pub(super) fn first_bytes(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "an empty file".to_owned();
    }
    let hex: Vec<String> = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("the bytes {}", hex.join(" "))
}

/// What a picture lacks of its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// The largest of its values of 16 bits, where these use so little of the range that few levels are left in 8:
    /// cameras of 10 or 12 bits write such.
    pub dark: Option<u16>,
    /// Pages of a TIFF file, of which the first is read.
    pub pages: usize,
}

impl Lost {
    /// Says, once of each kind, what the picture called `name` lacks.
    fn warn(&self, name: &str) {
        static SAID: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];
        for (said, told) in SAID.iter().zip(self.told(name)) {
            if let Some(told) = told.filter(|_| !said.swap(true, Ordering::Relaxed)) {
                log::warn!("{told} (said once)");
            }
        }
    }

    fn told(&self, name: &str) -> [Option<String>; 2] {
        let dark = self.dark.map(|most| {
            format!(
                "{name}: the largest of its 16-bit values is {most}, so {} levels are left of it in 8 bits; expected \
                 values that fill the range up to 65535: stretch the contrast of such pictures before",
                most / 256 + 1
            )
        });
        let stack = (self.pages > 1).then(|| format!("{name} has {} pages; only the first is read", self.pages));
        [dark, stack]
    }
}

/// The largest value of a picture of 16 bits, where it is less than an eighth of what there is room for.
fn dark(decoded: &DynamicImage) -> Option<u16> {
    let most = match decoded {
        DynamicImage::ImageLuma16(image) => image.as_raw().iter().copied().max(),
        DynamicImage::ImageRgb16(image) => image.as_raw().iter().copied().max(),
        // Alpha fills the range whatever the colours do.
        _ => None,
    };
    most.filter(|most| *most < u16::MAX / 8)
}

/// Converts to 8 bit RGB on an opaque background.
fn flatten(decoded: DynamicImage) -> RgbaImage {
    let transparent = decoded.color().has_alpha();
    let mut image = decoded.into_rgba8();
    if transparent {
        for pixel in image.pixels_mut() {
            let alpha = u32::from(pixel.0[3]);
            for channel in &mut pixel.0[..3] {
                let sum = u32::from(*channel) * alpha + BACKGROUND * (255 - alpha);
                *channel = ((sum + 127) / 255) as u8;
            }
            pixel.0[3] = 255;
        }
    }
    image
}

/// Downscales a decoded picture whose short side exceeds `limit` pixels.
pub fn limited_picture(picture: Picture, limit: Option<u32>) -> Picture {
    let Some(limit) = limit else { return picture };
    let old = (picture.width, picture.height);
    let new = limited_size(old.0, old.1, limit);
    if new == old {
        return picture;
    }
    let pixels = shrink(&picture.pixels, old, new);
    Picture { width: new.0, height: new.1, pixels, ..picture }
}

/// Downscales an opaque picture whose short side exceeds `limit` pixels.
fn limited(image: RgbaImage, limit: u32) -> RgbaImage {
    let (old, new) = {
        let (width, height) = image.dimensions();
        ((width, height), limited_size(width, height, limit))
    };
    if new == old {
        return image;
    }
    let pixels = shrink(image.as_raw(), old, new);
    RgbaImage::from_raw(new.0, new.1, pixels).unwrap_or(image)
}

#[cfg(test)]
mod tests {
    use image::ImageBuffer;

    use super::*;

    #[test]
    fn what_is_lost_is_told() {
        assert_eq!(Lost { dark: None, pages: 1 }.told("a.tif"), [None, None]);
        let [dark, stack] = Lost { dark: Some(4095), pages: 10 }.told("a.tif").map(Option::unwrap_or_default);
        assert!(dark.starts_with("a.tif: the largest of its 16-bit values is 4095, so 16 levels"), "{dark}");
        assert_eq!(stack, "a.tif has 10 pages; only the first is read");
    }

    #[test]
    fn pictures_of_twelve_bits_are_told_from_those_of_sixteen() {
        let grey = |values: Vec<u16>| ImageBuffer::from_raw(values.len() as u32, 1, values).expect("a picture");
        assert_eq!(dark(&DynamicImage::ImageLuma16(grey(vec![0, 4095, 17]))), Some(4095));
        assert_eq!(dark(&DynamicImage::ImageLuma16(grey(vec![0, 4095, 60_000]))), None);
        let colour = ImageBuffer::from_raw(1, 1, vec![9, 1023, 0u16]).expect("a picture");
        assert_eq!(dark(&DynamicImage::ImageRgb16(colour)), Some(1023));
        assert_eq!(dark(&DynamicImage::new_luma8(3, 3)), None);
    }
}
