//! The part of a session that rebuilds one picture at a time, as often as its mask changes.

use std::sync::Arc;

use super::message::{Event, Model, Request, Shown, WeightsFrom};
use super::outbox::Outbox;
use crate::data::Picture;
use crate::gpu::{BufferSlice, Gpu, OwnedTexture};
use crate::ops;
use crate::platform;
use crate::train::{
    Checkpoint, Explorer, Hidden, Hints, Inspector, Look, Opened, TrainError, Trainer, config_metadata,
};
use crate::weights::{TensorSource as _, Tensors};

/// Shortest time between looks at a model in training, seconds.
const LOOK_EVERY: f64 = 0.5;
/// Most of the time that rebuilding the picture by a model in training may take from training it.
const SHOW_SHARE: f64 = 0.1;

/// Model, picture and mask that are looked at.
pub struct Exploring {
    gpu: Arc<Gpu>,
    explorer: Option<Explorer>,
    from: WeightsFrom,
    picture: Option<Picture>,
    hidden: Hidden,
    texture: Option<Arc<OwnedTexture>>,
    stale: bool,
    /// Whether the model has learnt more since it was shown, when that was, and seconds that it took.
    behind: bool,
    shown_at: f64,
    show_took: f64,
    /// The picture as the model saw it last.
    image: Option<BufferSlice>,
    inspector: Option<Inspector>,
    look: Option<Look>,
    /// Whether `look` was not answered yet, and whether picture or weights changed since the last answer.
    asked: bool,
    moved: bool,
    looked_at: f64,
    /// Whether costs were asked for.
    wants_costs: bool,
}

impl Exploring {
    /// Nothing to look at yet.
    pub fn new(gpu: Arc<Gpu>) -> Exploring {
        let hidden = Hidden::Ratio { strategy: None, ratio: 0.75, seed: 0 };
        let from = WeightsFrom::Shipped;
        Exploring {
            gpu,
            explorer: None,
            from,
            picture: None,
            hidden,
            texture: None,
            stale: false,
            behind: false,
            shown_at: 0.0,
            show_took: 0.0,
            image: None,
            inspector: None,
            look: None,
            asked: false,
            moved: true,
            looked_at: 0.0,
            wants_costs: false,
        }
    }

    /// Whether the model in training is the one that is looked at.
    fn follows_training(&self) -> bool {
        matches!(self.from, WeightsFrom::Training)
    }

    /// Whether there is something new to show.
    pub fn is_stale(&self) -> bool {
        let due = self.behind && platform::now_seconds() - self.shown_at >= self.show_took / SHOW_SHARE;
        (self.stale || due) && self.explorer.is_some() && self.picture.is_some()
    }

    /// Shows the model in training anew when it is due, if that is the one that is looked at.
    pub fn model_moved(&mut self) {
        if self.follows_training() {
            self.behind = true;
            self.moved = true;
        }
    }

    /// Whether there is something new to show now that no training waits for it.
    pub fn catch_up(&mut self) -> bool {
        self.stale |= std::mem::take(&mut self.behind);
        let unseen = self.moved && self.look.is_some() && self.image.is_some();
        self.asked |= unseen;
        self.is_stale() || unseen
    }

    /// Looks inside the model from now on, or does so no more.
    pub fn inspect(&mut self, look: Option<Look>) {
        self.look = look;
        self.asked = true;
        if look.is_none() {
            // It holds what every block made of the picture.
            self.inspector = None;
        }
    }

    /// Whether there is something new to see inside the model.
    pub fn wants_look(&self) -> bool {
        let due = self.moved && platform::now_seconds() - self.looked_at >= LOOK_EVERY;
        self.look.is_some() && self.image.is_some() && (self.asked || due)
    }

    /// Looks inside the model and reports it.
    pub async fn look(&mut self, outbox: &Outbox) -> Result<(), TrainError> {
        let (Some(explorer), Some(image), Some(look)) = (&self.explorer, &self.image, self.look) else { return Ok(()) };
        // Set again below: a device that cannot do it is not asked again and again.
        self.look = None;
        self.asked = false;
        let known = self.inspector.take();
        let blind = known.is_none();
        let mut inspector = match known {
            Some(inspector) => inspector,
            None => Inspector::new(self.gpu.clone(), explorer.config(), explorer.store()).await?,
        };
        if std::mem::take(&mut self.moved) || blind {
            inspector.encode(image).await?;
        }
        let looked = inspector.look(look).await?;
        self.inspector = Some(inspector);
        self.look = Some(look);
        self.looked_at = platform::now_seconds();
        outbox.send(Event::Inspected(Box::new(looked)));
        Ok(())
    }

    /// Costs are asked for: they are measured once the picture is rebuilt.
    pub fn ask_costs(&mut self) {
        self.wants_costs = true;
    }

    /// Whether costs are to be measured.
    pub fn wants_costs(&self) -> bool {
        self.wants_costs
    }

    /// Measures what a reconstruction costs and reports it.
    pub async fn profile(&mut self, outbox: &Outbox) -> Result<(), TrainError> {
        self.wants_costs = false;
        match &self.explorer {
            Some(explorer) if self.image.is_some() => {
                outbox.send(Event::Profiled(Box::new(explorer.profile().await?)));
            }
            _ => {
                let reason = "there is no picture yet whose reconstruction could be measured".to_owned();
                outbox.send(Event::Refused { request: Request::Costs, reason });
            }
        }
        Ok(())
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
        self.image = None;
        Ok(())
    }

    /// Lets go of the model of the last run, if that is the one that is looked at: the next run needs its memory.
    pub fn release(&mut self) {
        if self.follows_training() {
            self.explorer = None;
            self.inspector = None;
            self.image = None;
        }
    }

    /// Looks at the model of the run that began, if the one in training is wanted; where none began, at the shipped one.
    pub async fn run_began(&mut self, trainer: Option<&Trainer>, outbox: &Outbox) -> Result<(), TrainError> {
        match trainer {
            _ if !self.follows_training() => Ok(()),
            Some(_) => self.set_weights(WeightsFrom::Training, trainer, outbox).await,
            None => self.set_weights(WeightsFrom::Shipped, None, outbox).await,
        }
    }

    /// Goes on looking at the model of a run that is over, under a name that says so.
    pub fn run_ended(&mut self, outbox: &Outbox) {
        if let Some(explorer) = self.explorer.as_ref().filter(|_| self.follows_training()) {
            outbox.send(described(explorer, "the model of the last run".to_owned(), WeightsFrom::Training));
            // Whoever looks inside forgets what was seen with the name.
            self.asked = true;
        }
    }

    /// Looks through another model.
    pub async fn set_weights(
        &mut self,
        from: WeightsFrom,
        trainer: Option<&Trainer>,
        outbox: &Outbox,
    ) -> Result<(), TrainError> {
        let load = async |model: Opened| {
            for text in &model.assumed {
                outbox.send(Event::Warning(format!("{}: it was assumed that {text}", model.weights.path())));
            }
            Explorer::load(self.gpu.clone(), &model).await
        };
        let (name, mut explorer) = match &from {
            WeightsFrom::Shipped => ("the shipped model".to_owned(), load(Opened::shipped()?).await?),
            WeightsFrom::Path(path) => {
                (path.display().to_string(), load(Opened::open(path, &Hints::default())?).await?)
            }
            WeightsFrom::Bytes(name, bytes) => (name.clone(), load(Opened::from_bytes(name, bytes.clone())?).await?),
            WeightsFrom::Checkpoint(checkpoint) => (checkpoint.file_name(), load(opened(checkpoint)?).await?),
            WeightsFrom::Training => {
                let Some(trainer) = trainer else {
                    let reason = "no model is in training: start a run under Train, then choose it again".to_owned();
                    outbox.send(Event::Refused { request: Request::Weights(from), reason });
                    return Ok(());
                };
                let (config, store) = (trainer.recipe().model.clone(), trainer.store().clone());
                ("the model in training".to_owned(), Explorer::new(self.gpu.clone(), config, store).await?)
            }
        };
        if let Some(picture) = &self.picture {
            explorer.set_picture(picture.clone()).await?;
        }
        outbox.send(described(&explorer, name, from.clone()));
        // A mask painted on another grid means nothing on this one.
        if matches!(self.hidden, Hidden::Keep(_)) {
            self.hidden = Hidden::Ratio { strategy: None, ratio: 0.75, seed: 0 };
        }
        self.explorer = Some(explorer);
        self.inspector = None;
        self.image = None;
        self.from = from;
        self.stale = true;
        Ok(())
    }

    /// Rebuilds the picture and reports it.
    pub async fn show(&mut self, outbox: &Outbox) -> Result<(), TrainError> {
        let Some(explorer) = &mut self.explorer else { return Ok(()) };
        let start = platform::now_seconds();
        (self.stale, self.behind) = (false, false);
        let rebuilt = explorer.run(&self.hidden).await?;
        let side = explorer.config().image_size as u32;
        let size = (side * ops::PANELS as u32, side);
        let fits = |texture: &Arc<OwnedTexture>| (texture.width(), texture.height()) == size;
        let texture = match self.texture.take().filter(fits) {
            Some(texture) => texture,
            None => self.gpu.texture("explored picture", size.0, size.1),
        };
        if self.image.is_none() {
            // Another picture or another model than at the last look.
            self.moved = true;
            self.asked = true;
        }
        self.image = Some(rebuilt.image.clone());
        self.gpu.paint(&rebuilt.strip, &texture);
        self.texture = Some(texture.clone());
        let measured = explorer.measure(&rebuilt).await?;
        self.shown_at = platform::now_seconds();
        self.show_took = self.shown_at - start;
        let seconds = self.shown_at - rebuilt.submitted;
        outbox.send(Event::Shown(Box::new(Shown { texture, measured, seconds })));
        Ok(())
    }
}

/// The weights of `checkpoint` as those of its file would be opened, without that being made.
fn opened(checkpoint: &Checkpoint) -> Result<Opened, TrainError> {
    let mut weights = Tensors { path: checkpoint.file_name(), ..checkpoint.weights.clone() };
    weights.metadata.extend(config_metadata(&checkpoint.recipe.model)?);
    Opened::new(Box::new(weights), None, &Hints::default())
}

/// Tells which model is looked at.
fn described(explorer: &Explorer, name: String, from: WeightsFrom) -> Event {
    let parameters = explorer.store().specs().iter().map(|spec| spec.len() as u64).sum();
    Event::Model(Box::new(Model { name, from, config: explorer.config().clone(), parameters }))
}
