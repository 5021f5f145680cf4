//! Text files, as editors and shells of all systems write them.

use std::fs;
use std::io;
use std::path::Path;

/// First bytes of a text that tells its encoding.
const UTF8: &[u8] = &[0xef, 0xbb, 0xbf];
const UTF16_LITTLE: &[u8] = &[0xff, 0xfe];
const UTF16_BIG: &[u8] = &[0xfe, 0xff];

/// Reads the text file at `path`: UTF-8, with a byte-order mark or without, or UTF-16 with one, in which PowerShell
/// writes down what programs print.
///
/// # Errors
/// The system's, and what is wrong with a file in another encoding.
pub fn read_text(path: &Path) -> io::Result<String> {
    text(&fs::read(path)?).map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason))
}

/// `text` as it stands between two tabs of a line.
pub fn cell(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

/// The text in the `bytes` of such a file, without the mark.
///
/// # Errors
/// What is wrong with another encoding.
pub fn text(bytes: &[u8]) -> Result<String, String> {
    if let Some(rest) = bytes.strip_prefix(UTF16_LITTLE) {
        return utf16(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(UTF16_BIG) {
        return utf16(rest, u16::from_be_bytes);
    }
    let bytes = bytes.strip_prefix(UTF8).unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        format!("expected a text in UTF-8, or in UTF-16 with a byte-order mark; line {line} is in neither")
    })?;
    Ok(text.to_owned())
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let text: Result<String, _> = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect();
    match text {
        Ok(text) if rest.is_empty() => Ok(text),
        _ => Err("begins with the byte-order mark of UTF-16, but is not in that encoding".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_same_in_every_encoding() {
        let want = "größe = 1\r\n# 🐈\r\n";
        let units: Vec<u16> = want.encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let files = [(&[][..], want.as_bytes()), (UTF8, want.as_bytes()), (UTF16_LITTLE, &little), (UTF16_BIG, &big)];
        for (mark, bytes) in files {
            assert_eq!(text(&[mark, bytes].concat()), Ok(want.to_owned()), "{mark:x?}");
        }
        assert_eq!(text(&[]), Ok(String::new()));
        assert_eq!(text(UTF16_LITTLE), Ok(String::new()));
    }

    #[test]
    fn other_encodings_are_told() {
        let latin = text(b"a\nb\ngr\xf6\xdfe\n").expect_err("no UTF-8");
        assert_eq!(latin, "expected a text in UTF-8, or in UTF-16 with a byte-order mark; line 3 is in neither");
        // Half a unit, and half a pair of units.
        for bytes in [&[0xff, 0xfe, 0x61][..], &[0xfe, 0xff, 0xd8, 0x00, 0x00, 0x61]] {
            assert!(text(bytes).expect_err("no UTF-16").contains("UTF-16"), "{bytes:x?}");
        }
        assert!(read_text(Path::new("no such file")).is_err());
    }
}
