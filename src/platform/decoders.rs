//! Picture decoders beside the thread of the page: the browser's own, in workers. The desktop has threads instead.

/// Pixels of a picture file.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// RGBA, opaque, upright.
    pub pixels: Vec<u8>,
}

pub use imp::{Decoders, Decoding};

#[cfg(not(target_arch = "wasm32"))]
mod imp {
    use super::Decoded;

    /// The desktop decodes on threads and opens none.
    #[derive(Clone, Copy, Debug)]
    pub struct Decoders(());

    /// A picture on its way.
    #[derive(Clone, Copy, Debug)]
    pub struct Decoding(());

    impl Decoders {
        /// None on the desktop.
        pub fn open() -> Option<Decoders> {
            None
        }

        /// How many pictures are decoded at a time.
        pub fn count(&self) -> usize {
            1
        }

        /// Starts decoding a file.
        pub fn decode(&self, _bytes: &[u8], _limit: Option<u32>) -> Decoding {
            Decoding(())
        }
    }

    impl Decoding {
        /// The picture, or nothing where the platform cannot decode it.
        pub async fn picture(self) -> Option<Decoded> {
            None
        }
    }
}

#[cfg(target_arch = "wasm32")]
mod imp {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
    use wasm_bindgen::{JsCast as _, JsValue};
    use wasm_bindgen_futures::JsFuture;
    use web_sys::{Blob, BlobPropertyBag, MessageChannel, Url, Worker};

    use super::Decoded;
    use crate::platform;

    const SCRIPT: &str = include_str!("../../web/decode.js");
    /// More workers than this gain little on the machines that pages run on, and each holds whole photographs.
    const MOST: usize = 4;

    /// Workers that decode in turn.
    #[derive(Clone)]
    pub struct Decoders(Rc<Workers>);

    /// Workers that end with whoever holds them last.
    struct Workers {
        all: Vec<Decoder>,
        next: Cell<usize>,
        /// Where they found their script.
        address: String,
    }

    struct Decoder {
        worker: Worker,
        /// Its first message, or the error where the page may not start it: browsers tell that later.
        began: Promise,
    }

    /// A picture on its way, and whether who decodes it has begun; none where no worker took it. The workers stay until
    /// it is there.
    pub struct Decoding(Option<([Promise; 2], Rc<Workers>)>);

    thread_local! {
        static OPENED: RefCell<Option<Option<Decoders>>> = const { RefCell::new(None) };
    }

    impl Decoders {
        /// Those of this page, or none where it may start no workers.
        pub fn open() -> Option<Decoders> {
            OPENED.with(|opened| {
                let mut opened = opened.borrow_mut();
                opened.get_or_insert_with(|| match start() {
                    Ok(workers) => Some(Decoders(Rc::new(workers))),
                    Err(error) => {
                        log::warn!("pictures are decoded without workers: {error:?}");
                        None
                    }
                });
                opened.clone().flatten()
            })
        }

        /// Lets those of this page go. They end once no picture is on its way, and whoever opens next starts others.
        pub fn dismiss() {
            OPENED.set(None);
        }

        /// How many pictures are decoded at a time.
        pub fn count(&self) -> usize {
            self.0.all.len()
        }

        /// Starts decoding a file: upright, on mid grey, its short side at most `limit` pixels.
        pub fn decode(&self, bytes: &[u8], limit: Option<u32>) -> Decoding {
            let Workers { all, next, .. } = &*self.0;
            let turn = next.replace((next.get() + 1) % all.len());
            let Decoder { worker, began } = &all[turn];
            let asked = ask(worker, bytes, limit.unwrap_or(0));
            let asked = asked.inspect_err(|error| log::warn!("a worker takes no picture: {error:?}"));
            Decoding(asked.ok().map(|answer| ([began.clone(), answer], self.0.clone())))
        }
    }

    impl Drop for Workers {
        fn drop(&mut self) {
            self.all.iter().for_each(|decoder| decoder.worker.terminate());
            // It fails for no address that was made here.
            let _ = Url::revoke_object_url(&self.address);
        }
    }

    impl Decoding {
        /// The picture, or nothing where the browser cannot decode it.
        pub async fn picture(self) -> Option<Decoded> {
            let ([began, answer], _workers) = self.0?;
            let first = JsFuture::from(began).await.ok()?;
            if !Reflect::get(&first, &"data".into()).ok()?.is_string() {
                return None;
            }
            let event = JsFuture::from(answer).await.ok()?;
            let answer = Reflect::get(&event, &"data".into()).ok()?;
            if answer.is_null() {
                return None;
            }
            let number = |name: &str| Some(Reflect::get(&answer, &name.into()).ok()?.as_f64()? as u32);
            let (width, height) = (number("width")?, number("height")?);
            let pixels = Reflect::get(&answer, &"pixels".into()).ok()?.dyn_into::<Uint8Array>().ok()?.to_vec();
            (pixels.len() as u64 == u64::from(width) * u64::from(height) * 4).then_some(Decoded {
                width,
                height,
                pixels,
            })
        }
    }

    fn start() -> Result<Workers, JsValue> {
        let kind = BlobPropertyBag::new();
        kind.set_type("text/javascript");
        let blob = Blob::new_with_str_sequence_and_options(&Array::of1(&SCRIPT.into()), &kind)?;
        let address = Url::create_object_url_with_blob(&blob)?;
        let count = processors().saturating_sub(1).clamp(1, MOST);
        let all = (0..count).map(|_| begin(&address)).collect::<Result<Vec<_>, _>>()?;
        Ok(Workers { all, next: Cell::default(), address })
    }

    /// A worker of the script at `address`, whose first message says that it runs.
    fn begin(address: &str) -> Result<Decoder, JsValue> {
        let worker = Worker::new(address)?;
        let began = Promise::new(&mut |resolve, _| {
            worker.set_onmessage(Some(&resolve));
            worker.set_onerror(Some(&resolve));
        });
        Ok(Decoder { worker, began })
    }

    /// What the browser says of the machine's processors.
    fn processors() -> usize {
        let navigator = Reflect::get(&js_sys::global(), &"navigator".into());
        let count = navigator.and_then(|navigator| Reflect::get(&navigator, &"hardwareConcurrency".into()));
        count.ok().and_then(|count| count.as_f64()).map_or_else(platform::threads, |count| count as usize)
    }

    /// Asks `worker`; the promise is of the event that answers.
    fn ask(worker: &Worker, bytes: &[u8], limit: u32) -> Result<Promise, JsValue> {
        let channel = MessageChannel::new()?;
        let (bytes, port) = (Uint8Array::from(bytes), channel.port2());
        let question = Object::new();
        Reflect::set(&question, &"bytes".into(), &bytes)?;
        Reflect::set(&question, &"limit".into(), &limit.into())?;
        Reflect::set(&question, &"port".into(), &port)?;
        worker.post_message_with_transfer(&question, &Array::of2(&bytes.buffer(), &port))?;
        let port = channel.port1();
        Ok(Promise::new(&mut |resolve, _| port.set_onmessage(Some(&resolve))))
    }
}
