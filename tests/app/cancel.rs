//! Giving up what is prepared and has not begun.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use egui_kittest::kittest::Queryable as _;
use unmask::app::{Phase, Tab};
use unmask::data::{DataError, Raw, Source};
use unmask::session::{Command, Event, Job, Session};
use unmask::train::Recipe;

use super::{PATIENCE, common, open, wait};

/// More pictures than anyone waits for, each slow to read.
struct Slow {
    names: Vec<String>,
    png: Vec<u8>,
    read: AtomicUsize,
}

impl Source for Slow {
    fn len(&self) -> usize {
        self.names.len()
    }

    fn name(&self, index: usize) -> &str {
        &self.names[index]
    }

    fn read(&self, _: usize) -> Result<Raw<'_>, DataError> {
        self.read.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(2));
        Ok(Raw::Encoded(Cow::Borrowed(&self.png)))
    }
}

fn slow() -> Arc<Slow> {
    let mut png = Vec::new();
    let picture = image::RgbImage::from_pixel(8, 8, image::Rgb([9, 90, 200]));
    picture.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).expect("a png");
    let names = (0..200_000).map(|index| format!("{index}.png")).collect();
    Arc::new(Slow { names, png, read: AtomicUsize::new(0) })
}

#[test]
fn what_is_prepared_is_given_up_when_it_is_stopped_and_when_the_session_closes() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let session = Session::open(common::gpu(), Arc::new(|| ())).expect("a thread");
    for end in [Command::Stop, Command::Close] {
        let source = slow();
        let recipe = Recipe::load("micro").expect("a preset");
        let job = Job { pictures: Some(source.clone()), out: Some(out.clone()), ..Job::new(recipe) };
        session.send(Command::Train(Box::new(job)));
        let start = Instant::now();
        while source.read.load(Ordering::Relaxed) < 100 {
            assert!(start.elapsed() < PATIENCE, "no picture is read");
            std::thread::sleep(Duration::from_millis(5));
        }
        session.send(end);
        let event = session.wait();
        assert!(matches!(event, Some(Event::Cancelled)), "{event:?}");
    }
    assert!(session.wait().is_none(), "the session goes on");
    assert!(!Path::exists(&out), "a folder was made for a run that never began");
}

#[test]
fn a_button_cancels() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut harness = open();
    let source = slow();
    harness.state_mut().set_runs(folder.path().to_owned());
    harness.state_mut().put_pictures(source.clone());
    harness.state_mut().open(Tab::Train);
    harness.run_steps(2);
    harness.get_by_label("Start").click();
    wait(&mut harness, "the first pictures", |_| source.read.load(Ordering::Relaxed) > 0);
    assert_eq!(harness.state().train().phase(), Phase::Starting);
    harness.get_by_label("Cancel").click();
    wait(&mut harness, "the end", |app| app.train().phase() == Phase::Idle);
    assert!(harness.state().train().standing().is_none());
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}
