//! Models without a canvas, for scripts. `web/unmask.js` wraps this for people.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasm_bindgen::prelude::*;

use super::{check_pixels, train};
use crate::data::Picture;
use crate::eval::{kernels, run_case};
use crate::gpu::{Gpu, GpuOptions};
use crate::nn::State;
use crate::ops::MaskStrategy;
use crate::platform::Decoders;
use crate::train::{Explorer, Hidden, Hints, HubConfig, Opened, config_metadata, decode_limit, model_params};
use crate::weights::{Bytes, Storage, TensorSource as _, open_bytes, read_tensors, tensor_bytes};

/// A device with a model on it.
#[wasm_bindgen]
pub struct Engine {
    gpu: Arc<Gpu>,
    model: Option<Model>,
}

/// A model, whose weights lie on the device alone: main memory in a page ends at 4 GiB.
struct Model {
    explorer: Explorer,
    /// What a file of its weights says beside them.
    metadata: BTreeMap<String, String>,
}

/// A picture and what the model made of it.
#[wasm_bindgen(getter_with_clone)]
pub struct Rebuilt {
    /// Side of the model's pictures.
    pub side: u32,
    /// Four panels side by side, `[side, 4 side]` RGBA.
    pub strip: Vec<u8>,
    /// 1 for each hidden patch.
    pub mask: Vec<u8>,
    /// Mean square error over hidden patches, in normalised units.
    #[wasm_bindgen(js_name = hiddenMse)]
    pub hidden_mse: f64,
    /// The same as PSNR in dB.
    #[wasm_bindgen(js_name = hiddenPsnr)]
    pub hidden_psnr: Option<f64>,
}

#[wasm_bindgen]
impl Engine {
    /// Opens a device of its own.
    pub async fn open() -> Result<Engine, JsError> {
        let gpu = Gpu::open(&GpuOptions::default()).await?;
        Ok(Engine { gpu, model: None })
    }

    /// Name, backend and driver of the device, as JSON.
    pub fn adapter(&self) -> Result<String, JsError> {
        Ok(serde_json::to_string(&self.gpu.summary())?)
    }

    /// Takes up the weights in the file `bytes`, or the shipped ones; returns the model's shape, and what was
    /// assumed of it, as JSON.
    #[wasm_bindgen(js_name = loadWeights)]
    pub async fn load_weights(
        &mut self,
        name: String,
        bytes: Option<Vec<u8>>,
        config: Option<String>,
        preprocessor: Option<String>,
    ) -> Result<String, JsError> {
        let mut hub = config.map(|text| HubConfig::parse("config.json", &text)).transpose()?;
        if let (Some(hub), Some(text)) = (&mut hub, preprocessor) {
            hub.take_preprocessor("preprocessor_config.json", &text)?;
        }
        let model = match bytes {
            Some(bytes) => {
                let file = open_bytes(&name, Bytes::Memory(bytes.into()))?;
                Opened::new(Box::new(file), hub.as_ref(), &Hints::default())?
            }
            None => Opened::shipped()?,
        };
        self.take(&model).await
    }

    async fn take(&mut self, opened: &Opened) -> Result<String, JsError> {
        // The former model leaves its memory to this one, but not to weights that are found wrong.
        opened.need_decoder()?;
        for (name, shape) in model_params(&opened.config)? {
            opened.weights.expect(&name, &shape)?;
        }
        let mut metadata = opened.weights.metadata().clone();
        metadata.extend(config_metadata(&opened.config)?);
        let mut told = serde_json::to_value(&opened.config)?;
        told["assumed"] = opened.assumed.clone().into();
        self.model = None;
        let explorer = Explorer::load(self.gpu.clone(), opened).await?;
        self.model = Some(Model { explorer, metadata });
        Ok(told.to_string())
    }

    /// The weights as a safetensors file.
    #[wasm_bindgen(js_name = saveWeights)]
    pub async fn save_weights(&self) -> Result<Vec<u8>, JsError> {
        let model = self.model.as_ref().ok_or_else(no_model)?;
        let mut weights = model.explorer.store().save(&self.gpu, State::Weights).await?;
        weights.path = "the model's weights".to_owned();
        weights.metadata.clone_from(&model.metadata);
        Ok(tensor_bytes(&weights, Storage::F32)?)
    }

    /// Short side to which larger pictures may be reduced before they are rebuilt.
    #[wasm_bindgen(js_name = decodeLimit)]
    pub fn decode_limit(&self) -> Result<u32, JsError> {
        let model = self.model.as_ref().ok_or_else(no_model)?;
        Ok(decode_limit(model.explorer.config().image_size))
    }

    /// Rebuilds a picture of RGBA `pixels`; `strategy` is `random`, `block`, `grid` or as the model was trained.
    pub async fn reconstruct(
        &mut self,
        width: u32,
        height: u32,
        pixels: Vec<u8>,
        ratio: f64,
        seed: u32,
        strategy: Option<String>,
    ) -> Result<Rebuilt, JsError> {
        let explorer = &mut self.model.as_mut().ok_or_else(no_model)?.explorer;
        check_pixels(width, height, &pixels)?;
        if !(0.0..1.0).contains(&ratio) {
            return Err(JsError::new(&format!("ratio {ratio}: expected 0 to under 1")));
        }
        let strategy: Option<MaskStrategy> = match strategy {
            Some(name) => Some(serde_json::from_value(name.clone().into()).map_err(|_| {
                JsError::new(&format!("strategy \"{name}\": expected \"random\", \"block\" or \"grid\""))
            })?),
            None => None,
        };
        let picture = Picture { name: "picture".to_owned(), width, height, pixels };
        explorer.set_picture(picture).await?;
        let built = explorer.run(&Hidden::Ratio { strategy, ratio, seed }).await?;
        let measured = explorer.measure(&built).await?;
        Ok(Rebuilt {
            side: explorer.config().image_size as u32,
            strip: self.gpu.read_one("strip", &built.strip).await?,
            mask: measured.hidden.iter().map(|hidden| u8::from(*hidden)).collect(),
            hidden_mse: measured.hidden_mse,
            hidden_psnr: measured.hidden_psnr_db,
        })
    }

    /// Trains a new model by `options` (JSON) on the files named `names`, or on the built-in photographs where there
    /// are none, and takes up its weights; returns as [`Engine::load_weights`] does. What `progress` throws comes back,
    /// and the former model stays.
    pub async fn train(
        &mut self,
        options: String,
        names: Vec<String>,
        files: Vec<js_sys::Uint8Array>,
        progress: js_sys::Function,
    ) -> Result<String, JsValue> {
        let options: train::Options = serde_json::from_str(&options).map_err(JsError::from)?;
        let files = names.into_iter().zip(files.iter().map(js_sys::Uint8Array::to_vec)).collect();
        let weights = train::train(&self.gpu, &options, files, &progress).await?;
        let opened = Opened::new(Box::new(weights), None, &Hints::default()).map_err(JsError::from)?;
        Ok(self.take(&opened).await?)
    }

    /// Runs the golden case in the safetensors file `bytes`; returns its report as JSON.
    #[wasm_bindgen(js_name = runCase)]
    pub async fn run_case(&self, name: String, bytes: Vec<u8>) -> Result<String, JsError> {
        let case = read_tensors(&name, &bytes)?;
        Ok(serde_json::to_string(&run_case(&self.gpu, &case).await?)?)
    }

    /// Compares every kernel with its twin on the processor; returns the reports as JSON.
    #[wasm_bindgen(js_name = checkKernels)]
    pub async fn check_kernels(&self) -> Result<String, JsError> {
        Ok(serde_json::to_string(&kernels::check_kernels(&self.gpu, |_, _| ()).await?)?)
    }

    /// Gives the device back, and lets the workers go that decoded pictures.
    pub fn close(self) {
        self.gpu.device().destroy();
        Decoders::dismiss();
    }
}

fn no_model() -> JsError {
    JsError::new("there is no model yet: load weights or train one first")
}
