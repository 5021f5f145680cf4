//! The app on a page's canvas.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use eframe::egui;
use eframe::egui_wgpu::WgpuConfiguration;
use wasm_bindgen::prelude::*;

use super::check_pixels;
use crate::app::{App, Recovery, setup};
use crate::data::{self, Picture};
use crate::gpu::{Gpu, GpuOptions};
use crate::platform::{self, Content, Incoming};

/// Seconds without a change after which settings go into the page's address.
const SETTLED: f64 = 0.5;

/// The app with the address of the page that it runs in.
struct Tab {
    app: App,
    place: Rc<Place>,
    /// What is set, and since when.
    link: String,
    since: f64,
    /// What the address says; none until the first picture is shown.
    written: Option<String>,
}

impl Tab {
    /// Keeps the address up with what is set.
    fn keep_address(&mut self, ctx: &egui::Context) {
        if self.app.explore().result().is_none() {
            return;
        }
        let link = self.app.link();
        let now = platform::now_seconds();
        let written = self.written.get_or_insert_with(|| link.clone());
        if link != self.link {
            self.link = link;
            self.since = now;
        }
        if *written == self.link {
            return;
        }
        if now - self.since < SETTLED {
            ctx.request_repaint_after_secs((self.since + SETTLED - now) as f32 + 0.01);
        } else if let Some(history) = web_sys::window().and_then(|window| window.history().ok()) {
            written.clone_from(&self.link);
            // A browser refuses where a page asks too often: the next change asks again.
            let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(&self.link));
        }
    }
}

impl eframe::App for Tab {
    fn logic(&mut self, ctx: &egui::Context, frame: &mut eframe::Frame) {
        self.place.waiting.take().into_iter().for_each(|input| input(&self.app));
        self.app.logic(ctx, frame);
        self.keep_address(ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        self.app.ui(ui, frame);
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        self.app.save(storage);
    }

    fn as_any_mut(&mut self) -> Option<&mut dyn std::any::Any> {
        Some(self)
    }
}

/// Of the paths of a folder's files, those to train on: pictures, or where there are none what holds pictures.
#[wasm_bindgen(js_name = chooseFiles)]
pub fn choose_files(paths: Vec<String>) -> Vec<String> {
    data::choose(paths)
}

/// Bytes of files that a page takes up at once.
#[wasm_bindgen(js_name = mostGiven)]
pub fn most_given() -> f64 {
    platform::MOST_GIVEN
}

/// The running app.
#[wasm_bindgen]
pub struct Page {
    place: Rc<Place>,
}

/// Something that a script puts into the app.
type Input = Box<dyn FnOnce(&App)>;

/// Where the app runs: each device has a runner of its own.
struct Place {
    canvas: web_sys::HtmlCanvasElement,
    /// None while a device that was lost comes back.
    runner: RefCell<Option<eframe::WebRunner>>,
    /// What came in while no app could take it up: the next frame does.
    waiting: RefCell<Vec<Input>>,
    failed: js_sys::Function,
}

/// What an app starts with.
enum Begin {
    /// The query of the page's address.
    Afresh(String),
    /// What outlived the device before.
    Again(Box<Recovery>),
}

/// Runs the app on `gpu`, and once more on another device whenever one is lost.
async fn run(place: Rc<Place>, gpu: Arc<Gpu>, begin: Begin) -> Result<(), JsValue> {
    let options = eframe::WebOptions {
        wgpu_options: WgpuConfiguration { wgpu_setup: setup(&gpu), ..WgpuConfiguration::default() },
        ..eframe::WebOptions::default()
    };
    let runner = eframe::WebRunner::new();
    place.runner.replace(Some(runner.clone()));
    let (canvas, failed) = (place.canvas.clone(), place.failed.clone());
    let create: eframe::AppCreator<'static> = Box::new(move |cc| {
        let mut app = App::new(gpu.clone(), cc)?;
        match begin {
            Begin::Afresh(query) => app.apply_link(&query),
            Begin::Again(recovery) => app.recover(*recovery),
        }
        let next = place.clone();
        app.on_lost(Box::new(move |recovery| {
            // What comes in from now on is for the app on the next device.
            let lost = next.runner.take();
            wasm_bindgen_futures::spawn_local(async move {
                // An app cannot be taken down from within.
                platform::pause().await;
                if let Some(lost) = lost {
                    lost.destroy();
                }
                let again = match gpu.reopen().await {
                    Ok(gpu) => run(next, gpu, Begin::Again(Box::new(recovery))).await,
                    Err(error) => Err(JsError::new(&error.to_string()).into()),
                };
                if let Err(error) = again {
                    // Whatever it throws, there is nothing left to do.
                    let _ = failed.call1(&JsValue::NULL, &error);
                }
            });
        }));
        Ok(Box::new(Tab { app, place, link: String::new(), since: 0.0, written: None }))
    });
    runner.start(canvas, options, create).await
}

#[wasm_bindgen]
impl Page {
    /// Starts the app on `canvas`, with the settings of the page's address.
    ///
    /// `failed` is called with an error where a lost device does not come back.
    pub async fn start(canvas: web_sys::HtmlCanvasElement, failed: js_sys::Function) -> Result<Page, JsValue> {
        let gpu = Gpu::open(&GpuOptions::default()).await.map_err(|error| JsError::new(&error.to_string()))?;
        let query = web_sys::window().and_then(|window| window.location().search().ok()).unwrap_or_default();
        let (runner, waiting) = (RefCell::default(), RefCell::default());
        let place = Rc::new(Place { canvas, runner, waiting, failed });
        run(place.clone(), gpu, Begin::Afresh(query)).await?;
        Ok(Page { place })
    }

    fn with_tab<T>(&self, act: impl FnOnce(&Tab) -> T) -> Option<T> {
        let runner = self.place.runner.borrow().clone()?;
        runner.app_mut::<Tab>().map(|tab| act(&tab))
    }

    /// Puts something into the app, or keeps it until there is one again.
    fn put(&self, input: impl FnOnce(&App) + 'static) {
        self.place.waiting.borrow_mut().push(Box::new(input));
        self.with_tab(|tab| tab.place.waiting.take().into_iter().for_each(|input| input(&tab.app)));
    }

    /// What the app shows, as JSON; none after a panic, while the app draws or while its device comes back.
    pub fn state(&self) -> Option<String> {
        self.with_tab(|tab| serde_json::to_string(&tab.app.view()).ok()).flatten()
    }

    /// Takes in a file, as if it had been dropped onto the page.
    pub fn feed(&self, name: String, bytes: Vec<u8>) {
        self.put(move |app| app.put_files(vec![Incoming { name, content: Ok(Content::Bytes(bytes)) }]));
    }

    /// Takes in the files of folders to train on: their paths and for each its bytes, or a text that says why it cannot
    /// be read.
    pub fn give(&self, paths: Vec<String>, contents: Vec<JsValue>) {
        let read = |content: &JsValue| match content.dyn_ref::<js_sys::Uint8Array>() {
            Some(bytes) => Ok(Content::Bytes(bytes.to_vec())),
            None => Err(content.as_string().unwrap_or_else(|| "it cannot be read".to_owned())),
        };
        let files = paths.into_iter().zip(&contents).map(|(name, content)| Incoming { name, content: read(content) });
        let files: Vec<Incoming> = files.collect();
        self.put(move |app| app.put_folder(files));
    }

    /// Takes up the run that the browser kept, unless another is there already.
    #[wasm_bindgen(js_name = takeKept)]
    pub fn take_kept(&self, run: Vec<u8>) {
        self.put(move |app| app.put_kept(run));
    }

    /// Shows a notice of something that went wrong.
    pub fn notice(&self, text: String) {
        self.put(move |app| app.put_error(text));
    }

    /// Takes in a frame of the camera, RGBA; one that comes while there is no app is left out.
    pub fn frame(&self, width: u32, height: u32, pixels: Vec<u8>) -> Result<(), JsError> {
        check_pixels(width, height, &pixels)?;
        self.with_tab(|tab| tab.app.put_frame(Picture { name: "camera".to_owned(), width, height, pixels }));
        Ok(())
    }

    /// Takes note that the camera is off, and why where nobody asked for it.
    #[wasm_bindgen(js_name = cameraOff)]
    pub fn camera_off(&self, reason: Option<String>) {
        self.put(move |app| app.camera_off(reason));
    }

    /// Gives the GPU device up, as a driver reset would.
    #[wasm_bindgen(js_name = loseDevice)]
    pub fn lose_device(&self) {
        self.with_tab(|tab| tab.app.lose_device());
    }
}
