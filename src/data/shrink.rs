//! Downscaling by area averaging.

/// Size of a picture of `width` x `height` pixels once its short side is at most `limit` pixels
/// (a limit of 0 counts as 1), with the aspect kept to the nearest pixel.
pub(super) fn limited_size(width: u32, height: u32, limit: u32) -> (u32, u32) {
    let short = width.min(height);
    let limit = limit.max(1);
    if short <= limit {
        return (width, height);
    }
    let scaled = |side: u32| {
        let (side, limit, short) = (u64::from(side), u64::from(limit), u64::from(short));
        ((side * limit + short / 2) / short) as u32
    };
    (scaled(width), scaled(height))
}

/// The source rows or columns that one output row or column covers.
struct Cover {
    start: usize,
    /// Share of the output row or column that comes from `start`, `start + 1` and so on.
    weights: Vec<f32>,
}

/// How `to` output cells share `from` source cells, `1 <= to <= from`.
fn covers(from: u32, to: u32) -> Vec<Cover> {
    // In units of 1 / (from * to) of the whole side, all borders are integers.
    let (from, to) = (u64::from(from), u64::from(to));
    (0..to)
        .map(|cell| {
            let (begin, end) = (cell * from, (cell + 1) * from);
            let (first, last) = (begin / to, end.div_ceil(to));
            let weights = (first..last)
                .map(|source| {
                    let overlap = end.min((source + 1) * to) - begin.max(source * to);
                    overlap as f32 / from as f32
                })
                .collect();
            Cover { start: first as usize, weights }
        })
        .collect()
}

/// Averages RGBX `pixels` (`[height, width, 4]` bytes) down to `[new_height, new_width, 4]`.
///
/// Each output pixel is the mean of the area that it covers, so that fine texture averages out
/// instead of aliasing. The new sides must not exceed the old ones. The fourth byte becomes 255.
pub(super) fn shrink(pixels: &[u8], (width, height): (u32, u32), (new_width, new_height): (u32, u32)) -> Vec<u8> {
    let stride = width as usize * 4;
    let columns = covers(width, new_width);
    let mut out = Vec::with_capacity(new_width as usize * new_height as usize * 4);
    let mut row = vec![0f32; stride];
    for cover in covers(height, new_height) {
        row.fill(0.0);
        let sources = pixels[cover.start * stride..].chunks_exact(stride);
        for (source, &weight) in sources.zip(&cover.weights) {
            for (sum, &byte) in row.iter_mut().zip(source) {
                *sum += weight * f32::from(byte);
            }
        }
        for column in &columns {
            let mut sums = [0f32; 3];
            let sources = row[column.start * 4..].chunks_exact(4);
            for (source, &weight) in sources.zip(&column.weights) {
                for (sum, &value) in sums.iter_mut().zip(source) {
                    *sum += weight * value;
                }
            }
            out.extend(sums.map(|sum| sum.round() as u8));
            out.push(255);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_side_meets_the_limit() {
        assert_eq!(limited_size(400, 300, 150), (200, 150));
        assert_eq!(limited_size(300, 401, 150), (150, 201));
        assert_eq!(limited_size(100, 300, 100), (100, 300));
        assert_eq!(limited_size(100, 300, 400), (100, 300));
        assert_eq!(limited_size(5, 7, 0), (1, 1));
        assert_eq!(limited_size(u32::MAX, u32::MAX, 1), (1, 1));
    }

    #[test]
    fn covers_share_every_source_equally() {
        for (from, to) in [(1, 1), (7, 7), (7, 3), (8, 2), (640, 224), (1000, 999)] {
            let mut shares = vec![0f64; from as usize];
            for cover in covers(from, to) {
                let total: f32 = cover.weights.iter().sum();
                assert!((total - 1.0).abs() < 1e-5, "{from} to {to}: {total}");
                for (share, &weight) in shares[cover.start..].iter_mut().zip(&cover.weights) {
                    *share += f64::from(weight);
                }
            }
            let want = f64::from(to) / f64::from(from);
            assert!(shares.iter().all(|share| (share - want).abs() < 1e-5));
        }
    }

    #[test]
    fn pixels_are_averaged() {
        let pixels = [[0, 10, 100, 255], [100, 20, 100, 255], [200, 30, 0, 255], [100, 41, 0, 255]];
        let out = shrink(pixels.as_flattened(), (2, 2), (1, 1));
        assert_eq!(out, [100, 25, 50, 255]);
        let out = shrink(pixels.as_flattened(), (4, 1), (2, 1));
        assert_eq!(out, [50, 15, 100, 255, 150, 36, 0, 255]);
    }

    #[test]
    fn a_plain_picture_stays_plain() {
        let out = shrink(&[[255, 1, 128, 255]; 13 * 11].concat(), (13, 11), (5, 4));
        assert_eq!(out, [[255, 1, 128, 255]; 5 * 4].concat());
    }
}
