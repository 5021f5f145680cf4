//! Files that do not decode, and what is said of them.

use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, Rgb};
use unmask::data::{DataError, decode};

use super::{FORMATS, encode, quarters};

#[test]
fn what_is_no_picture_is_named() {
    let error = |bytes: &[u8]| decode("b/note.jpg", bytes, None).unwrap_err().to_string();
    assert_eq!(
        error(b""),
        "b/note.jpg: not a picture: expected JPEG, PNG, WebP, BMP, GIF or TIFF, \
         found an empty file"
    );
    assert_eq!(
        error(b"<html><body>"),
        "b/note.jpg: not a picture: expected JPEG, PNG, WebP, BMP, GIF or TIFF, \
         found the bytes 3c 68 74 6d 6c 3e 3c 62"
    );
    // A format that is known, but not among those read.
    assert!(error(b"#?RADIANCE\n").contains("not a picture"));
}

#[test]
fn numbers_of_other_kinds_are_named() {
    let deep = ImageBuffer::<Luma<u16>, _>::from_raw(2, 1, vec![1, 2]).unwrap();
    let whole = encode(&DynamicImage::from(deep), ImageFormat::Tiff);
    assert!(decode("grey.tif", &whole, None).is_ok());
    for (bits, numbers, kind) in [(32u16, 3u16, "32-bit float"), (32, 1, "32-bit"), (16, 2, "16-bit signed")] {
        let mut bytes = whole.clone();
        for (tag, value) in [(258u16, bits), (339, numbers)] {
            // The value lies behind a tag, the type of a short number, and how many there are.
            let entry = [&tag.to_le_bytes()[..], &[3, 0, 1, 0, 0, 0]].concat();
            let at = bytes.windows(8).position(|window| window == entry).unwrap() + 8;
            bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        let error = decode("grey.tif", &bytes, None).unwrap_err().to_string();
        let reason = format!("{kind} pixels are not read; convert to 8 or 16 bits");
        assert_eq!(error, format!("grey.tif: cannot be decoded as TIFF: {reason}"));
    }
}

/// A file of 48x32 pixels that announces 60000x50000.
fn huge(format: ImageFormat) -> Vec<u8> {
    let mut bytes = encode(&quarters(), format);
    let (width, height) = (60000u16, 50000u16);
    let mut patch = |at: usize, new: &[u8]| bytes[at..at + new.len()].copy_from_slice(new);
    match format {
        ImageFormat::Gif => {
            patch(6, &width.to_le_bytes());
            patch(8, &height.to_le_bytes());
        }
        ImageFormat::Bmp => {
            patch(18, &u32::from(width).to_le_bytes());
            patch(22, &u32::from(height).to_le_bytes());
        }
        ImageFormat::Png => {
            patch(16, &u32::from(width).to_be_bytes());
            patch(20, &u32::from(height).to_be_bytes());
            let checksum = crc32(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
        }
        _ => {
            let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]);
            let at = frame.unwrap() + 5;
            bytes[at..at + 2].copy_from_slice(&height.to_be_bytes());
            bytes[at + 2..at + 4].copy_from_slice(&width.to_be_bytes());
        }
    }
    bytes
}

/// The checksum of a PNG chunk.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| match crc & 1 {
            1 => crc >> 1 ^ 0xedb8_8320,
            _ => crc >> 1,
        })
    })
}

#[test]
fn absurd_sizes_are_refused() {
    use ImageFormat::{Bmp, Gif, Jpeg, Png};
    for format in [Jpeg, Png, Bmp, Gif] {
        let error = decode("huge.img", &huge(format), None).unwrap_err();
        assert_eq!(error.to_string(), "huge.img: 60000x50000 pixels, expected 1 to 100 million pixels", "{format:?}");
    }
    let mut none = encode(&quarters(), Gif);
    none[6..8].fill(0);
    let error = decode("none.gif", &none, None).unwrap_err();
    assert_eq!(error.to_string(), "none.gif: 0x32 pixels, expected 1 to 100 million pixels");
}

/// Photographs differ from plain colours in how a decoder meets damage.
fn texture() -> DynamicImage {
    let mut state = 1u32;
    DynamicImage::ImageRgb8(ImageBuffer::from_fn(61, 43, |x, y| {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        Rgb([x as u8 * 4, y as u8 * 5, (state >> 27) as u8])
    }))
}

#[test]
fn files_cut_short_are_errors_that_name_them() {
    for (format, name) in FORMATS {
        let bytes = encode(&texture(), format);
        for percent in [3, 10, 50, 90] {
            let cut = &bytes[..bytes.len() * percent / 100];
            let error = decode("cut.img", cut, None).expect_err(name).to_string();
            assert!(error.starts_with("cut.img: "), "{error}");
        }
        for length in 0..bytes.len().min(600) {
            assert!(decode("cut.img", &bytes[..length], None).is_err(), "{name}");
        }
        let error = decode("cut.img", &bytes[..bytes.len() / 2], None).unwrap_err();
        assert!(matches!(&error, DataError::Decode { format, .. } if *format == name), "{error}");
    }
}

#[test]
fn damaged_files_never_panic() {
    let mut state = 12345u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for (format, name) in FORMATS {
        let whole = encode(&texture(), format);
        for round in 0..400 {
            let mut bytes = whole.clone();
            // Half of the rounds damage the header, where sizes and offsets are.
            let reach = if round % 2 == 0 { 100 } else { bytes.len() };
            for _ in 0..1 + random(4) {
                bytes[random(reach.min(whole.len()))] ^= 1 << random(8);
            }
            match decode("bad.img", &bytes, Some(16)) {
                Ok(picture) => {
                    assert_eq!(picture.pixels.len(), picture.width as usize * picture.height as usize * 4, "{name}")
                }
                Err(error) => assert!(error.to_string().starts_with("bad.img: "), "{error}"),
            }
        }
    }
}
