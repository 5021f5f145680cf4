//! Pieces of work that keep the device busy for a bounded time each.

use std::collections::VecDeque;

use super::{DispatchList, Gpu, GpuError, Mark, Slices};
use crate::platform;

/// Fewest pieces that wait on the device: one runs while the next is being encoded.
const LEAST_IN_FLIGHT: usize = 2;
/// Most of them: whatever else is drawn waits for all of them.
const MOST_IN_FLIGHT: usize = 4;
/// How often the device's answer is timed, seconds, and how many answers the shortest is taken of.
const LATENCY_EVERY: f64 = 5.0;
const ANSWERS: usize = 3;

/// Most dispatches a submission carries, so that no driver watchdog fires on long lists.
pub const MAX_SUBMIT: usize = 256;

/// Chooses how many dispatches go into a submission.
///
/// What tells how long they took is the device's answer, which takes a while of its own: in a browser it crosses from
/// process to process, and may take longer than the work. So it is timed without any work now and then, and taken off.
#[derive(Default)]
pub struct Pace {
    /// Seconds a submission may take; 0 for no limit.
    seconds: f64,
    most: usize,
    pieces: VecDeque<Piece>,
    /// Dispatches before the last piece.
    dispatched: usize,
    /// When the last answer came.
    last: f64,
    /// Seconds that an answer takes, and when that was found.
    latency: f64,
    timed: Option<f64>,
}

/// A submission under way.
struct Piece {
    mark: Mark,
    dispatches: usize,
    submitted: f64,
}

impl Pace {
    /// At most `seconds` a submission; 0 for no limit.
    pub fn set(&mut self, seconds: f64) {
        self.seconds = seconds;
    }

    /// Whether submissions are bounded at all.
    pub fn is_bounded(&self) -> bool {
        self.seconds > 0.0
    }

    /// Most dispatches of the next submission.
    pub fn most(&self) -> usize {
        if self.is_bounded() { self.most.max(1) } else { usize::MAX }
    }

    /// Submits all of `list`, at this pace.
    ///
    /// # Errors
    /// Those of [`Gpu::check`].
    pub async fn run(&mut self, gpu: &Gpu, list: &DispatchList) -> Result<(), GpuError> {
        let mut slices = Slices::default();
        loop {
            let done = list.run_slice(gpu, &mut slices, self.most().min(MAX_SUBMIT));
            self.submitted(gpu).await?;
            if done {
                return Ok(());
            }
            platform::pause().await;
        }
    }

    /// To be called after every submission: waits until the device keeps up, and learns how long it takes.
    ///
    /// # Errors
    /// Those of [`Gpu::check`].
    pub async fn submitted(&mut self, gpu: &Gpu) -> Result<(), GpuError> {
        if !self.is_bounded() {
            return Ok(());
        }
        // The last piece of a step has fewer, and what others submitted meanwhile is not its own.
        let dispatches = gpu.dispatched().wrapping_sub(self.dispatched).clamp(1, self.most());
        self.dispatched = gpu.dispatched();
        self.pieces.push_back(Piece { mark: gpu.mark_last(), dispatches, submitted: platform::now_seconds() });
        while self.pieces.len() >= in_flight(self.latency, self.seconds) {
            self.wait(gpu).await?;
        }
        if self.timed.is_none_or(|timed| platform::now_seconds() - timed >= LATENCY_EVERY) {
            self.time_answer(gpu).await?;
        }
        Ok(())
    }

    /// Waits for the oldest piece.
    async fn wait(&mut self, gpu: &Gpu) -> Result<(), GpuError> {
        let Some(Piece { mark, dispatches, submitted }) = self.pieces.pop_front() else { return Ok(()) };
        gpu.reached(mark).await?;
        let now = platform::now_seconds();
        let took = worked(now, submitted, self.last, self.latency);
        self.last = now;
        self.most = fitting(dispatches, took, self.seconds);
        Ok(())
    }

    /// Finds how long an answer of a device with nothing to do takes.
    async fn time_answer(&mut self, gpu: &Gpu) -> Result<(), GpuError> {
        while !self.pieces.is_empty() {
            self.wait(gpu).await?;
        }
        let mut shortest = f64::INFINITY;
        for _ in 0..ANSWERS {
            let asked = platform::now_seconds();
            gpu.reached(gpu.mark()).await?;
            shortest = shortest.min(platform::now_seconds() - asked);
        }
        self.latency = shortest;
        self.timed = Some(platform::now_seconds());
        Ok(())
    }
}

/// How many pieces of `seconds` are under way so that the device has work while its answer takes `latency`.
fn in_flight(latency: f64, seconds: f64) -> usize {
    (1 + (latency / seconds).ceil() as usize).clamp(LEAST_IN_FLIGHT, MOST_IN_FLIGHT)
}

/// Seconds that a piece took which was `submitted` when it was and answered for `now`, `latency` after it was done; the one
/// before it, behind which it may have waited, was answered for at `last`.
fn worked(now: f64, submitted: f64, last: f64, latency: f64) -> f64 {
    (now - submitted - latency).min(now - last).max(1e-6)
}

/// How many dispatches take `seconds` where some took `took`: half way towards it, so that one slow op does not rock the
/// pace, and not many more at a time.
fn fitting(dispatches: usize, took: f64, seconds: f64) -> usize {
    let some = dispatches as f64;
    let fitting = (some * seconds / took).clamp(1.0, 4.0 * some + 4.0);
    let half = (some + fitting) / 2.0;
    // Two of which one fits would stay two for ever, were the half rounded up.
    if fitting < some { half.floor().max(1.0) as usize } else { half.round() as usize }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;
    use crate::gpu::{GpuOptions, KernelKey, Uploads as _};

    /// Seconds in which no dispatch is done, and within which any is.
    const SHORT: f64 = 1e-9;
    const LONG: f64 = 1e3;

    /// Dispatches of a submission after a while, and the share of the time in which the device works, where a dispatch
    /// takes `each` seconds and an answer `latency`.
    fn settled(each: f64, latency: f64, seconds: f64) -> (usize, f64) {
        let (mut now, mut free, mut last, mut most) = (0.0f64, 0.0f64, 0.0f64, 1);
        let mut pieces = VecDeque::new();
        let mut busy = Vec::new();
        for _ in 0..2000 {
            let work = most as f64 * each;
            free = free.max(now + latency / 2.0) + work;
            pieces.push_back((most, now, free));
            while pieces.len() >= in_flight(latency, seconds) {
                let (dispatches, submitted, done) = pieces.pop_front().expect("a piece");
                now = now.max(done + latency / 2.0);
                most = fitting(dispatches, worked(now, submitted, last, latency), seconds);
                last = now;
            }
            busy.push((now, work));
        }
        let (half, work): (_, f64) = (busy[1000].0, busy[1001..].iter().map(|(_, work)| work).sum());
        (most, work / (now - half))
    }

    #[test]
    fn pieces_take_as_long_as_asked_however_long_an_answer_takes() {
        for (each, latency) in [(20e-6, 1e-4), (20e-6, 4e-3), (20e-6, 20e-3), (1e-3, 20e-3)] {
            let (most, share) = settled(each, latency, 8e-3);
            let took = most as f64 * each;
            assert!((6e-3..10e-3).contains(&took), "{most} dispatches of {each} s take {took} s behind {latency} s");
            assert!(share > 0.95, "busy {share} of the time, {each} s a dispatch, {latency} s an answer");
        }
        assert_eq!(settled(30e-3, 1e-4, 8e-3).0, 1, "a dispatch is not divided");
    }

    /// Lengths of the pieces in which `pace` submits `list`.
    fn pieces(gpu: &Gpu, pace: &mut Pace, list: &DispatchList) -> Vec<usize> {
        let mut context = Context::from_waker(Waker::noop());
        let mut run = pin!(pace.run(gpu, list));
        let (mut before, mut pieces) = (gpu.dispatched(), Vec::new());
        // It lets others run after every piece.
        loop {
            let polled = run.as_mut().poll(&mut context);
            pieces.push(gpu.dispatched() - before);
            before = gpu.dispatched();
            if polled.is_ready() {
                return pieces;
            }
        }
    }

    #[test]
    fn an_answer_that_fails_to_come_tells_nothing_of_how_long_it_takes() {
        pollster::block_on(async {
            let gpu = Gpu::open(&GpuOptions::default()).await.expect("an adapter");
            let buffer = gpu.buffer("gone", 4).await.expect("a buffer");
            let mut pace = Pace::default();
            pace.set(LONG);
            buffer.buffer.destroy();
            gpu.upload(&buffer, &[0u32]);
            assert!(pace.time_answer(&gpu).await.is_err());
            assert_eq!(pace.latency, 0.0);
            pace.submitted(&gpu).await.expect("an answer");
            assert!(pace.latency > 0.0 && pace.latency < LONG, "{}", pace.latency);
        });
    }

    #[test]
    fn a_list_is_submitted_in_pieces_that_shrink_where_little_time_is_allowed_and_grow_where_much_is() {
        let gpu = pollster::block_on(Gpu::open(&GpuOptions::default())).expect("an adapter");
        let buffer = pollster::block_on(gpu.buffer("numbers", 4)).expect("a buffer");
        let mut list = DispatchList::default();
        // One number to be written, in a row of one.
        let params: Vec<u8> = [1u32, 1, 0, 0].into_iter().flat_map(u32::to_le_bytes).collect();
        for _ in 0..300 {
            let bound = [(1, buffer.clone())];
            list.push(&gpu, "fill", &KernelKey::new("fill"), &params, &bound, [1, 1, 1]).expect("a dispatch");
        }
        let mut pace = Pace::default();
        assert_eq!(pieces(&gpu, &mut pace, &list), [MAX_SUBMIT, 300 - MAX_SUBMIT], "without a limit");

        pace.set(SHORT);
        assert_eq!(pieces(&gpu, &mut pace, &list), [1; 300]);
        pace.set(LONG);
        let growing = pieces(&gpu, &mut pace, &list);
        assert!(growing.len() < 20 && growing.iter().sum::<usize>() == 300, "{growing:?}");
        let most = pace.most();
        assert!(most > 100, "{most} after {growing:?}");

        pace.set(SHORT);
        assert_eq!(pieces(&gpu, &mut pace, &list)[0], most.min(MAX_SUBMIT), "nothing was learnt yet");
        // Each answer halves what there was when it was asked for; some are under way.
        let fell = (0..20).any(|_| pieces(&gpu, &mut pace, &list) == [1; 300]);
        assert!(fell && pace.most() == 1, "{most} dispatches at a time came down to {}", pace.most());
    }
}
