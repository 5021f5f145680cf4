//! Training steps by turns, for `./dev bench --peer tab`: what `unmask bench --turns` does on the desktop.

use wasm_bindgen::prelude::*;

use crate::gpu::{Gpu, GpuOptions};
use crate::train::{Recipe, Turns};

/// A training step that is timed.
#[wasm_bindgen(js_name = Turns)]
pub struct PageTurns(Turns);

#[wasm_bindgen(js_class = Turns)]
impl PageTurns {
    /// The step of the preset `model` at a learning rate that stays, on a device of its own.
    pub async fn open(model: String, batch: u32, seed: u32, rate: f64) -> Result<PageTurns, JsError> {
        let mut recipe = Recipe::load(&model)?;
        recipe.train.batch = batch as usize;
        recipe.train.seed = u64::from(seed);
        recipe.check()?;
        let gpu = Gpu::open(&GpuOptions::default()).await?;
        Ok(PageTurns(Turns::new(gpu, &recipe, rate).await?))
    }

    /// What to tell before the first turn, as JSON.
    pub fn ready(&self) -> Result<String, JsError> {
        Ok(serde_json::to_string(self.0.ready())?)
    }

    /// Does `steps` more steps; returns their times and losses as JSON.
    pub async fn turn(&mut self, steps: u32) -> Result<String, JsError> {
        Ok(serde_json::to_string(&self.0.turn(steps as usize).await?)?)
    }
}
