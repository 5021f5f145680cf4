//! Ctrl-C, and other signals to end: the first one stops a session, which saves first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_channel::Sender;

use super::args::Common;
use super::progress::complain;
use crate::session::{Command, Session};

/// Time within which further signals are the same wish: a shutdown, or `timeout`, sends more than one.
const ECHO: Duration = Duration::from_secs(1);

/// What a signal to end means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// Save, then end.
    Stop,
    /// Nothing new.
    Echo,
    /// End now.
    Quit,
}

/// What a signal at `now` means, when the `first` came then.
fn wish(first: &mut Option<Instant>, now: Instant) -> Wish {
    match *first {
        None => {
            *first = Some(now);
            Wish::Stop
        }
        Some(first) if now - first < ECHO => Wish::Echo,
        Some(_) => Wish::Quit,
    }
}

/// Ctrl-C, and other signals to end.
pub struct Interrupt {
    came: Arc<AtomicBool>,
    commands: Arc<Mutex<Option<Sender<Command>>>>,
}

impl Interrupt {
    /// Has the first one send `ending` to a session, and a second one end the program.
    ///
    /// # Errors
    /// The system's, or where it is caught already.
    pub fn catch(common: &Common, ending: &'static [Command]) -> anyhow::Result<Interrupt> {
        let interrupt = Interrupt { came: Arc::default(), commands: Arc::default() };
        let (came, commands) = (interrupt.came.clone(), interrupt.commands.clone());
        let tell = !common.quiet && !common.json;
        let mut first = None;
        ctrlc::set_handler(move || match wish(&mut first, Instant::now()) {
            Wish::Stop => {
                came.store(true, Ordering::SeqCst);
                if tell {
                    complain("\nstopping: the run is saved first, then measured; Ctrl-C again quits at once");
                }
                // Nobody panics while holding it; and the session may have ended already.
                if let Ok(Some(commands)) = commands.lock().as_deref() {
                    ending.iter().for_each(|command| drop(commands.try_send(command.clone())));
                }
            }
            Wish::Echo => {}
            Wish::Quit => std::process::exit(130),
        })
        .context("Ctrl-C cannot be caught")?;
        Ok(interrupt)
    }

    /// From now on it stops `session`.
    pub fn reaches(&self, session: &Session) {
        if let Ok(mut commands) = self.commands.lock() {
            *commands = Some(session.commands());
        }
        if self.came() {
            // Between two sessions.
            session.send(Command::Stop);
        }
    }

    /// Whether one came.
    pub fn came(&self) -> bool {
        self.came.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_that_come_together_are_one_wish() {
        let (mut first, start) = (None, Instant::now());
        let mut at = |milliseconds| wish(&mut first, start + Duration::from_millis(milliseconds));
        assert_eq!([at(0), at(0), at(300)], [Wish::Stop, Wish::Echo, Wish::Echo]);
        assert_eq!(at(1000), Wish::Quit);
    }
}
