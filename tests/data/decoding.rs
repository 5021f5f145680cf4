//! Files that decode, and what comes out of them.

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, GrayImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, Rgba};
use unmask::data::{Picture, decode};

use super::{BLUE, FORMATS, GREEN, RED, WHITE, encode, png, quarters};

fn pixel(picture: &Picture, x: u32, y: u32) -> [u8; 4] {
    let at = (y * picture.width + x) as usize * 4;
    picture.pixels[at..at + 4].try_into().unwrap()
}

/// The centres of the four quarters, in reading order.
fn centres(picture: &Picture) -> [[u8; 4]; 4] {
    let (x, y) = (picture.width / 4, picture.height / 4);
    [(x, y), (3 * x, y), (x, 3 * y), (3 * x, 3 * y)].map(|(x, y)| pixel(picture, x, y))
}

fn assert_near(got: [[u8; 4]; 4], want: [[u8; 3]; 4], tolerance: u8, what: &str) {
    for (got, want) in got.iter().zip(want) {
        let near = want.iter().zip(got).all(|(w, g)| w.abs_diff(*g) <= tolerance);
        assert!(near && got[3] == 255, "{what}: {got:?}, expected {want:?}");
    }
}

/// A JPEG with an EXIF segment that holds nothing but this orientation.
fn oriented_jpeg(orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08".to_vec();
    // One entry: tag 0x0112, of type SHORT, one value; and no further directory.
    exif.extend([0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]);
    exif.extend([0, 0, 0, 0]);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let jpeg = encode(&quarters(), ImageFormat::Jpeg);
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn every_format_round_trips() {
    for (format, name) in FORMATS {
        let bytes = encode(&quarters(), format);
        // The name's extension must not matter.
        let picture = decode("photo.dat", &bytes, None).unwrap();
        assert_eq!(picture.name, "photo.dat");
        assert_eq!((picture.width, picture.height), (48, 32), "{name}");
        assert_eq!(picture.pixels.len(), 48 * 32 * 4, "{name}");
        let tolerance = if format == ImageFormat::Jpeg { 6 } else { 0 };
        assert_near(centres(&picture), [RED, GREEN, BLUE, WHITE], tolerance, name);
    }
}

#[test]
fn all_eight_exif_orientations_come_out_upright() {
    let want = [
        [RED, GREEN, BLUE, WHITE],
        [GREEN, RED, WHITE, BLUE],
        [WHITE, BLUE, GREEN, RED],
        [BLUE, WHITE, RED, GREEN],
        [RED, BLUE, GREEN, WHITE],
        [BLUE, RED, WHITE, GREEN],
        [WHITE, GREEN, BLUE, RED],
        [GREEN, WHITE, RED, BLUE],
    ];
    for (orientation, want) in (1..).zip(want) {
        let bytes = oriented_jpeg(orientation);
        let what = format!("orientation {orientation}");
        let (full, half) = match orientation {
            1..=4 => ((48, 32), (24, 16)),
            _ => ((32, 48), (16, 24)),
        };
        let picture = decode("photo.jpg", &bytes, None).unwrap();
        assert_eq!((picture.width, picture.height), full, "{what}");
        assert_near(centres(&picture), want, 6, &what);
        let picture = decode("photo.jpg", &bytes, Some(16)).unwrap();
        assert_eq!((picture.width, picture.height), half, "{what}");
        assert_near(centres(&picture), want, 6, &what);
    }
}

#[test]
fn a_limit_shrinks_by_area() {
    let stripes = GrayImage::from_fn(64, 40, |x, _| Luma([if x % 2 == 0 { 0 } else { 200 }]));
    let picture = decode("stripes.png", &png(stripes), Some(20)).unwrap();
    assert_eq!((picture.width, picture.height), (32, 20));
    assert!(picture.pixels.chunks(4).all(|p| p == [100, 100, 100, 255]));
    // A picture within the limit stays as it is.
    let bytes = png(quarters());
    assert_eq!(decode("a.png", &bytes, Some(32)), decode("a.png", &bytes, None));
}

#[test]
fn transparency_shows_mid_grey() {
    let image = ImageBuffer::from_raw(4, 1, vec![255u8, 0, 0, 0, 255, 255, 255, 128, 10, 20, 30, 255, 0, 0, 0, 51]);
    let image: ImageBuffer<Rgba<u8>, _> = image.unwrap();
    let picture = decode("alpha.png", &png(image.clone()), None).unwrap();
    let want = [[128, 128, 128, 255], [192, 192, 192, 255], [10, 20, 30, 255], [102, 102, 102, 255]];
    assert_eq!(picture.pixels, want.concat());

    let grey = ImageBuffer::from_raw(2, 1, vec![255u8, 0, 200, 255]).unwrap();
    let grey: ImageBuffer<LumaA<u8>, _> = grey;
    let picture = decode("alpha.png", &png(grey), None).unwrap();
    assert_eq!(picture.pixels, [128, 128, 128, 255, 200, 200, 200, 255]);
}

#[test]
fn grey_and_deep_channels_become_8_bit_rgb() {
    let grey = GrayImage::from_raw(3, 1, vec![0, 77, 255]).unwrap();
    let want = [0u8, 77, 255].map(|v| [v, v, v, 255]).concat();
    assert_eq!(decode("g.png", &png(grey), None).unwrap().pixels, want);

    let deep: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_raw(3, 1, vec![0, 77 * 257, 65535u16]).unwrap();
    assert_eq!(decode("g.png", &png(deep), None).unwrap().pixels, want);

    let deep: ImageBuffer<Rgb<u16>, _> =
        ImageBuffer::from_raw(2, 1, vec![0, 128 * 257, 65535, 257, 514, 771u16]).unwrap();
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let bytes = encode(&DynamicImage::from(deep.clone()), format);
        let picture = decode("deep", &bytes, None).unwrap();
        assert_eq!(picture.pixels, [0, 128, 255, 255, 1, 2, 3, 255]);
    }

    let floats: ImageBuffer<Rgb<f32>, _> =
        ImageBuffer::from_raw(2, 1, vec![0.0, 0.5, 1.0, -1.0, 2.0, f32::NAN]).unwrap();
    let bytes = encode(&DynamicImage::from(floats), ImageFormat::Tiff);
    let picture = decode("float.tif", &bytes, None).unwrap();
    assert_eq!(picture.pixels[..6], [0, 128, 255, 255, 0, 255]);
}

#[test]
fn an_animation_shows_its_first_frame() {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for colour in [[250, 0, 0, 255], [0, 0, 250, 255]] {
        let frame = ImageBuffer::from_pixel(6, 5, Rgba(colour));
        encoder.encode_frame(Frame::new(frame)).unwrap();
    }
    drop(encoder);
    let picture = decode("film.gif", &bytes, None).unwrap();
    assert_eq!(picture.pixels, [[250, 0, 0, 255]; 30].concat());
}
