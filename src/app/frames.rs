//! How smoothly the window draws.

use std::collections::VecDeque;

/// Frames that are remembered.
const KEPT: usize = 600;

/// Times between frames.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    last: Option<f64>,
    gaps: VecDeque<f64>,
}

/// What the times between frames were, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FrameTimes {
    /// Frames counted.
    pub frames: usize,
    /// Half of them were shorter.
    pub median: f64,
    /// 95 % of them were shorter.
    pub percentile_95: f64,
    /// The longest.
    pub longest: f64,
}

impl Frames {
    /// A frame is drawn at `now`, seconds.
    pub fn drawn(&mut self, now: f64) {
        if let Some(last) = self.last.replace(now) {
            self.gaps.push_back((now - last) * 1e3);
            if self.gaps.len() > KEPT {
                self.gaps.pop_front();
            }
        }
    }

    /// Drawing stops, or what is drawn is no longer counted: the time until the next frame is none of it.
    pub fn paused(&mut self) {
        self.last = None;
    }

    /// What the latest frames took; none before there are two.
    pub fn times(&self) -> Option<FrameTimes> {
        let mut gaps: Vec<f64> = self.gaps.iter().copied().collect();
        gaps.sort_by(f64::total_cmp);
        let at = |share: f64| gaps.get(((gaps.len() - 1) as f64 * share).round() as usize).copied();
        let longest = *gaps.last()?;
        Some(FrameTimes { frames: gaps.len(), median: at(0.5)?, percentile_95: at(0.95)?, longest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_sorted_by_length() {
        let mut frames = Frames::default();
        assert_eq!(frames.times(), None);
        let mut now = 0.0;
        frames.drawn(now);
        assert_eq!(frames.times(), None);
        for gap in 1..=100 {
            now += f64::from((gap * 37) % 101) / 1e3;
            frames.drawn(now);
        }
        let times = frames.times().expect("times");
        assert_eq!(times.frames, 100);
        let rounded = [times.median, times.percentile_95, times.longest].map(f64::round);
        assert_eq!(rounded, [51.0, 95.0, 100.0]);
        frames.paused();
        frames.drawn(now + 60.0);
        assert_eq!(frames.times().map(|times| (times.frames, times.longest.round())), Some((100, 100.0)));
        frames.paused();
        (0..2 * KEPT).for_each(|_| frames.drawn(now));
        assert_eq!(frames.times().map(|times| (times.frames, times.longest)), Some((KEPT, 0.0)));
    }
}
