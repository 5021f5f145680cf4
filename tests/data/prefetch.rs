//! Decoding ahead of use.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use unmask::data::{DataError, Picture, Prefetch, Raw, Source};

/// 1x1 pictures of which some take long, every seventh fails and number 1000 panics.
#[derive(Default)]
struct Slow {
    started: AtomicUsize,
}

impl Source for Slow {
    fn len(&self) -> usize {
        1001
    }

    fn name(&self, _: usize) -> &str {
        "slow"
    }

    fn read(&self, index: usize) -> Result<Raw<'_>, DataError> {
        self.started.fetch_add(1, Ordering::SeqCst);
        assert!(index < 1000, "a decoder's own fault");
        thread::sleep(Duration::from_millis(if index.is_multiple_of(5) { 8 } else { 1 }));
        let name = index.to_string();
        if index % 7 == 6 {
            let reason = "on purpose".to_owned();
            return Err(DataError::Read { name, reason });
        }
        Ok(Raw::Pixels(Picture { name, width: 1, height: 1, pixels: vec![0, 0, 0, 255] }))
    }
}

#[test]
fn prefetch_keeps_the_order_and_its_bound() {
    for (threads, depth) in [(1, 1), (1, 4), (4, 3), (4, 8), (0, 0)] {
        let source = Arc::new(Slow::default());
        let wanted: Vec<usize> = (0..60).map(|k| k * 37 % 60).collect();
        let mut order = wanted.clone().into_iter();
        let mut stream = Prefetch::start(source.clone(), move || order.next(), depth, threads, None);
        for (taken, &index) in wanted.iter().enumerate() {
            let ahead = source.started.load(Ordering::SeqCst) - taken;
            assert!(ahead <= depth.max(1), "{ahead} ahead");
            match stream.next().unwrap() {
                Ok(picture) => assert_eq!(picture.name, index.to_string()),
                Err(error) => {
                    assert_eq!(index % 7, 6);
                    assert_eq!(error.to_string(), format!("{index}: cannot be read: on purpose"));
                }
            }
        }
        assert!(stream.next().is_none());
        assert!(stream.next().is_none());
    }
}

#[test]
fn prefetch_stops_when_dropped() {
    let source = Arc::new(Slow::default());
    let mut stream = Prefetch::start(source.clone(), || Some(1), 6, 3, None);
    assert!(stream.next().unwrap().is_ok());
    drop(stream);
    let started = source.started.load(Ordering::SeqCst);
    assert!(started <= 7);
    // The workers have gone, and the source with them.
    assert_eq!(Arc::strong_count(&source), 1);
}

#[test]
#[should_panic(expected = "a decoder's own fault")]
fn prefetch_passes_panics_on() {
    let mut order = [1, 1000, 2].into_iter();
    let source = Arc::new(Slow::default());
    let mut stream = Prefetch::start(source, move || order.next(), 2, 2, None);
    assert!(stream.next().unwrap().is_ok());
    stream.next();
}
