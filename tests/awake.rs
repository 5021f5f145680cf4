//! A run keeps the computer awake for as long as it learns, as desktops of Linux and logind are asked to.
#![cfg(target_os = "linux")]

#[path = "common/left_out.rs"]
mod left_out;

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use zbus::blocking::connection::Builder;
use zbus::zvariant::{self, OwnedObjectPath, Value};

/// What was asked for, in words.
type Asked = Arc<Mutex<Vec<String>>>;

struct Portal(Asked);

#[zbus::interface(name = "org.freedesktop.portal.Inhibit")]
impl Portal {
    fn inhibit(&self, _window: &str, flags: u32, options: HashMap<&str, Value<'_>>) -> OwnedObjectPath {
        let reason = options.get("reason").map(Value::to_string).unwrap_or_default();
        self.0.lock().unwrap().push(format!("portal {flags} {reason}"));
        OwnedObjectPath::try_from("/org/freedesktop/portal/desktop/request").expect("a path")
    }
}

struct Login {
    asked: Asked,
    let_go: Arc<AtomicBool>,
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Login {
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zvariant::OwnedFd {
        let (mut ours, theirs) = io::pipe().expect("a pipe");
        let let_go = self.let_go.clone();
        // A lock lasts until every copy of its descriptor is closed.
        thread::spawn(move || {
            let _ = ours.read(&mut [0]);
            let_go.store(true, Ordering::SeqCst);
        });
        self.asked.lock().unwrap().push(format!("logind {what} {who} {why:?} {mode}"));
        OwnedFd::from(theirs).into()
    }
}

/// Ends what it holds, however the test ends.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(120), "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_run_keeps_the_computer_awake() {
    let mut bus = Command::new("dbus-daemon");
    bus.args(["--session", "--nofork", "--print-address"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let Ok(mut bus) = bus.spawn().map(Ends) else {
        left_out::left_out("keeping the computer awake: there is no dbus-daemon");
        return;
    };
    let mut address = String::new();
    BufReader::new(bus.0.stdout.take().expect("piped")).read_line(&mut address).expect("an address");
    let (asked, let_go) = (Asked::default(), Arc::new(AtomicBool::new(false)));
    let _serving = Builder::address(address.trim())
        .and_then(|bus| bus.name("org.freedesktop.portal.Desktop"))
        .and_then(|bus| bus.name("org.freedesktop.login1"))
        .and_then(|bus| bus.serve_at("/org/freedesktop/portal/desktop", Portal(asked.clone())))
        .and_then(|bus| bus.serve_at("/org/freedesktop/login1", Login { asked: asked.clone(), let_go: let_go.clone() }))
        .and_then(|bus| bus.build())
        .expect("a bus");

    let folder = tempfile::tempdir().expect("a folder");
    let mut program = Command::new(env!("CARGO_BIN_EXE_unmask"));
    program.env("UNMASK_CACHE", env!("CARGO_TARGET_TMPDIR"));
    program.envs(["DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"].map(|name| (name, address.trim())));
    program.args(["train", "--json", "--data", "sample", "--model", "micro", "--batch", "2", "--out"]);
    let mut program = Ends(program.arg(folder.path()).stdout(Stdio::piped()).spawn().expect("the program runs"));
    let mut steps = BufReader::new(program.0.stdout.take().expect("piped"))
        .lines()
        .filter(|line| line.as_ref().is_ok_and(|line| line.contains("\"event\":\"step\"")));
    steps.next().expect("a step").expect("a line");
    wait_for("both to be asked", || asked.lock().unwrap().len() == 2);
    let mut told = asked.lock().unwrap().clone();
    told.sort();
    assert_eq!(told, ["logind idle Unmask \"A model is learning\" block", "portal 4 \"A model is learning\""]);
    steps.next().expect("another step").expect("a line");
    assert!(!let_go.load(Ordering::SeqCst), "the lock was let go while the run learns");
    drop(program);
    wait_for("the lock to be let go", || let_go.load(Ordering::SeqCst));
}
