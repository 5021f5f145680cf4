//! Keeps the computer from falling asleep over long work: one that sleeps trains nothing.

/// Held as long as the computer should stay awake. Screens may go dark, but in a page, which can ask for no less, and only
/// while it is seen. A lid that is closed still puts a laptop to sleep, and so may whoever wishes to.
pub struct Awake {
    _asked: asked::Asked,
}

impl Awake {
    /// Asks whoever decides, who is told what is `done` meanwhile. That may be in vain: a server has nobody to ask.
    pub fn keep(done: &'static str) -> Awake {
        Awake { _asked: asked::Asked::of(done) }
    }
}

#[cfg(all(feature = "awake", any(windows, target_os = "linux", target_os = "macos")))]
mod asked {
    use std::sync::mpsc;
    use std::thread;

    /// A request, withdrawn when it is dropped.
    pub struct Asked {
        _held: mpsc::Sender<()>,
    }

    impl Asked {
        /// Asks on a thread of its own, which then holds what was answered: an answer takes its time, if one ever comes, and
        /// on Windows a request is one of its thread.
        pub fn of(done: &'static str) -> Asked {
            let (held, dropped) = mpsc::channel();
            let ask = move || {
                let (desktop, system) = (ask_desktop(done), ask_system(done));
                if let (Err(desktop), Err(system)) = (&desktop, &system) {
                    log::info!("nothing keeps this computer awake: {desktop}; {system}");
                }
                // Nothing is ever sent.
                let _ = dropped.recv();
            };
            if let Err(error) = thread::Builder::new().name("awake".to_owned()).spawn(ask) {
                log::info!("nothing keeps this computer awake: {error}");
            }
            Asked { _held: held }
        }
    }

    /// Asks the system not to sleep for want of use.
    fn ask_system(done: &str) -> keepawake::Result<keepawake::KeepAwake> {
        keepawake::Builder::default().idle(true).reason(done).app_name("Unmask").create()
    }

    /// Asks the desktop, by its portal, not to suspend until the connection is closed: GNOME does not ask logind's locks.
    #[cfg(target_os = "linux")]
    fn ask_desktop(done: &str) -> zbus::Result<zbus::blocking::Connection> {
        /// The portal's flag for suspending.
        const SUSPEND: u32 = 4;
        let desktop = zbus::blocking::Connection::session()?;
        let options = std::collections::HashMap::from([("reason", zbus::zvariant::Value::from(done))]);
        let (portal, place) = ("org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop");
        let interface = "org.freedesktop.portal.Inhibit";
        // Of no window.
        desktop.call_method(Some(portal), place, Some(interface), "Inhibit", &("", SUSPEND, options))?;
        Ok(desktop)
    }

    /// Elsewhere the system is all that there is to ask.
    #[cfg(not(target_os = "linux"))]
    fn ask_desktop(_done: &str) -> Result<(), &'static str> {
        Err("no desktop to ask")
    }
}

#[cfg(target_arch = "wasm32")]
mod asked {
    use crate::platform::helper::helper;
    use wasm_bindgen::JsValue;

    /// A request, withdrawn when it is dropped.
    pub struct Asked;

    impl Asked {
        /// Asks the page, by its function `unmaskAwake`.
        pub fn of(_done: &'static str) -> Asked {
            ask(true);
            Asked
        }
    }

    impl Drop for Asked {
        fn drop(&mut self) {
            ask(false);
        }
    }

    fn ask(on: bool) {
        if let Some(helper) = helper("unmaskAwake") {
            // The helper does what it can.
            let _ = helper.call1(&JsValue::NULL, &JsValue::from_bool(on));
        }
    }
}

#[cfg(not(any(
    target_arch = "wasm32",
    all(feature = "awake", any(windows, target_os = "linux", target_os = "macos"))
)))]
mod asked {
    /// Of nobody.
    pub struct Asked;

    impl Asked {
        /// Asks nobody.
        pub fn of(_done: &'static str) -> Asked {
            Asked
        }
    }
}
