//! Models without a canvas, for scripts. `web/unmask.js` wraps this for people.

use std::sync::Arc;

use wasm_bindgen::prelude::*;

use super::{check_pixels, train};
use crate::data::Picture;
use crate::eval::{kernels, run_case};
use crate::gpu::{Gpu, GpuOptions};
use crate::ops::MaskStrategy;
use crate::train::{Hidden, Hints, HubConfig, Opened, Reconstructor, config_metadata};
use crate::weights::{Bytes, Storage, TensorSource as _, Tensors, open_bytes, read_tensors, tensor_bytes};

/// A device with a model on it.
#[wasm_bindgen]
pub struct Engine {
    gpu: Arc<Gpu>,
    model: Option<Reconstructor>,
    weights: Tensors,
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
        Ok(Engine { gpu, model: None, weights: Tensors::default() })
    }

    /// Name, backend and driver of the device, as JSON.
    pub fn adapter(&self) -> Result<String, JsError> {
        Ok(serde_json::to_string(&self.gpu.summary())?)
    }

    /// Takes up the weights in the file `bytes`, or the shipped ones; returns the model's shape as JSON.
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
        let model = Reconstructor::new(self.gpu.clone(), opened).await?;
        let config = serde_json::to_string(model.config())?;
        self.weights = opened.weights.read_all()?;
        self.weights.metadata.extend(config_metadata(model.config())?);
        self.model = Some(model);
        Ok(config)
    }

    /// The weights as a safetensors file.
    #[wasm_bindgen(js_name = saveWeights)]
    pub fn save_weights(&self) -> Result<Vec<u8>, JsError> {
        self.model.as_ref().ok_or_else(no_model)?;
        Ok(tensor_bytes(&self.weights, Storage::F32)?)
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
        let model = self.model.as_mut().ok_or_else(no_model)?;
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
        let built = model.reconstruct(picture, &Hidden::Ratio { strategy, ratio, seed }).await?;
        Ok(Rebuilt {
            side: built.side as u32,
            strip: built.strip,
            mask: built.mask.iter().map(|mask| u8::from(*mask != 0.0)).collect(),
            hidden_mse: built.hidden_mse,
            hidden_psnr: built.hidden_psnr_db,
        })
    }

    /// Trains a new model by `options` (JSON) on the files named `names`, or on the built-in photographs where there
    /// are none, and takes up its weights; returns its shape as JSON.
    pub async fn train(
        &mut self,
        options: String,
        names: Vec<String>,
        files: Vec<js_sys::Uint8Array>,
        progress: js_sys::Function,
    ) -> Result<String, JsError> {
        let options: train::Options = serde_json::from_str(&options)?;
        let files = names.into_iter().zip(files.iter().map(js_sys::Uint8Array::to_vec)).collect();
        let weights = train::train(&self.gpu, &options, files, &progress).await?;
        self.take(&Opened::new(Box::new(weights), None, &Hints::default())?).await
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

    /// Gives the device back.
    pub fn close(self) {
        self.gpu.device().destroy();
    }
}

fn no_model() -> JsError {
    JsError::new("there is no model yet: load weights or train one first")
}
