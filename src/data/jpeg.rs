//! Whether a JPEG file is whole.

const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;

/// Whether an end-of-image marker follows the first scan.
///
/// The decoder fills what is missing from a file cut short with grey and reports success, which
/// would teach a model grey patches. Segments before the scan are stepped over, since an EXIF
/// thumbnail is a JPEG with an end marker of its own.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    let Some(scan) = first_scan(bytes) else {
        return false;
    };
    // The marker cannot occur within entropy-coded data, where 0xff is followed by 0 or a
    // restart marker.
    bytes[scan..].windows(2).rev().any(|pair| pair == [0xff, END_OF_IMAGE])
}

/// Offset of the first start-of-scan marker.
fn first_scan(bytes: &[u8]) -> Option<usize> {
    // After the two bytes of start-of-image.
    let mut at = 2;
    loop {
        // Markers may be preceded by fill bytes of 0xff, and sloppy writers pad segments.
        while *bytes.get(at)? != 0xff {
            at += 1;
        }
        while *bytes.get(at)? == 0xff {
            at += 1;
        }
        let marker = bytes[at];
        at += 1;
        match marker {
            START_OF_SCAN => return Some(at - 2),
            // Not markers of a segment: stuffing, TEM, restarts and start-of-image.
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => {
                let length = u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]);
                at += usize::from(length.max(2));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn the_end_marker_must_follow_the_scan() {
        let start = [0xff, 0xd8];
        // An application segment that holds a thumbnail's end marker.
        let segment = [0xff, 0xe1, 0, 4, 0xff, 0xd9];
        let scan = [0xff, 0xda, 0, 2, 1, 2, 0xff, 0x00, 3];
        let end = [0xff, 0xd9];
        assert!(is_whole(&[&start[..], &segment, &scan, &end].concat()));
        assert!(is_whole(&[&start[..], &segment, &scan, &end, b"trailer"].concat()));
        assert!(!is_whole(&[&start[..], &segment, &scan].concat()));
        assert!(!is_whole(&[&start[..], &segment].concat()));
        assert!(!is_whole(&start));
        assert!(!is_whole(&[]));
    }
}
