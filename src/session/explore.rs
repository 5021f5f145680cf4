//! The part of a session that rebuilds one picture at a time, as often as its mask changes.

use std::sync::Arc;

use super::message::{Event, Model, Shown, WeightsFrom};
use super::outbox::Outbox;
use crate::data::Picture;
use crate::gpu::Gpu;
use crate::ops;
use crate::platform;
use crate::train::{Explorer, Hidden, TrainError, Trainer};
use crate::weights::{self, Tensors};

/// Model, picture and mask that are looked at.
pub struct Exploring {
    gpu: Arc<Gpu>,
    explorer: Option<Explorer>,
    from: WeightsFrom,
    picture: Option<Picture>,
    hidden: Hidden,
    texture: Option<wgpu::Texture>,
    stale: bool,
}

impl Exploring {
    /// Nothing to look at yet.
    pub fn new(gpu: Arc<Gpu>) -> Exploring {
        let hidden = Hidden::Ratio { strategy: None, ratio: 0.75, seed: 0 };
        let from = WeightsFrom::Shipped;
        Exploring { gpu, explorer: None, from, picture: None, hidden, texture: None, stale: false }
    }

    /// Whether there is something new to show.
    pub fn is_stale(&self) -> bool {
        self.stale && self.explorer.is_some() && self.picture.is_some()
    }

    /// Shows the model in training anew, if that is the one that is looked at.
    pub fn model_moved(&mut self) {
        self.stale |= self.from == WeightsFrom::Training;
    }

    /// Hides other patches.
    pub fn hide(&mut self, hidden: Hidden) {
        self.hidden = hidden;
        self.stale = true;
    }

    /// Looks at another picture.
    pub async fn set_picture(&mut self, picture: Picture) -> Result<(), TrainError> {
        if let Some(explorer) = &mut self.explorer {
            explorer.set_picture(picture.clone()).await?;
        }
        self.picture = Some(picture);
        self.stale = true;
        Ok(())
    }

    /// Looks through another model.
    pub async fn set_weights(
        &mut self,
        from: WeightsFrom,
        trainer: Option<&Trainer>,
        outbox: &Outbox,
    ) -> Result<(), TrainError> {
        let load = async |tensors: Tensors| Explorer::load(self.gpu.clone(), &tensors).await;
        let (name, mut explorer) = match &from {
            WeightsFrom::Shipped => ("the shipped model".to_owned(), load(weights::shipped()?).await?),
            WeightsFrom::Path(path) => (path.display().to_string(), load(Tensors::open(path)?).await?),
            WeightsFrom::Bytes(name, bytes) => (name.clone(), load(weights::read_tensors(name, bytes)?).await?),
            WeightsFrom::Training => {
                let Some(trainer) = trainer else {
                    return Err(TrainError::Mask("no model is in training; start one first".to_owned()));
                };
                let (config, store) = (trainer.recipe().model.clone(), trainer.store().clone());
                ("the model in training".to_owned(), Explorer::new(self.gpu.clone(), config, store).await?)
            }
        };
        if let Some(picture) = &self.picture {
            explorer.set_picture(picture.clone()).await?;
        }
        let parameters = explorer.store().specs().iter().map(|spec| spec.len() as u64).sum();
        outbox.send(Event::Model(Box::new(Model { name, config: explorer.config().clone(), parameters })));
        // A mask painted on another grid means nothing on this one.
        if matches!(self.hidden, Hidden::Keep(_)) {
            self.hidden = Hidden::Ratio { strategy: None, ratio: 0.75, seed: 0 };
        }
        self.explorer = Some(explorer);
        self.from = from;
        self.stale = true;
        Ok(())
    }

    /// Rebuilds the picture and reports it.
    pub async fn show(&mut self, outbox: &Outbox) -> Result<(), TrainError> {
        let Some(explorer) = &mut self.explorer else { return Ok(()) };
        self.stale = false;
        let rebuilt = explorer.run(&self.hidden).await?;
        let side = explorer.config().image_size as u32;
        let size = (side * ops::PANELS as u32, side);
        let fits = |texture: &wgpu::Texture| (texture.width(), texture.height()) == size;
        let texture = match self.texture.take().filter(fits) {
            Some(texture) => texture,
            None => self.gpu.texture("explored picture", size.0, size.1),
        };
        self.gpu.paint(&rebuilt.strip, &texture);
        self.texture = Some(texture.clone());
        let measured = explorer.measure(&rebuilt).await?;
        let seconds = platform::now_seconds() - rebuilt.submitted;
        outbox.send(Event::Shown(Box::new(Shown { texture, measured, seconds })));
        Ok(())
    }
}
