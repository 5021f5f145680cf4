//! Textures of the engine as egui draws them.

use std::sync::Arc;

use eframe::egui::{self, TextureId};
use eframe::egui_wgpu::RenderState;

use crate::gpu::OwnedTexture;

/// Registers textures with egui on first use and forgets those that are not used any more.
#[derive(Default)]
pub struct Textures {
    state: Option<RenderState>,
    known: Vec<Known>,
}

struct Known {
    texture: Arc<OwnedTexture>,
    id: TextureId,
    used: u64,
}

impl Textures {
    /// Over egui's renderer; without one nothing is drawn.
    pub fn new(state: Option<RenderState>) -> Textures {
        Textures { state, known: Vec::new() }
    }

    /// The id under which egui draws `texture`.
    pub fn id(&mut self, ctx: &egui::Context, texture: &Arc<OwnedTexture>) -> Option<TextureId> {
        let state = self.state.as_ref()?;
        let frame = ctx.cumulative_pass_nr();
        let mut renderer = state.renderer.write();
        self.known.retain(|known| {
            let keep = known.used + 2 >= frame || Arc::ptr_eq(&known.texture, texture);
            if !keep {
                renderer.free_texture(&known.id);
            }
            keep
        });
        if let Some(known) = self.known.iter_mut().find(|known| Arc::ptr_eq(&known.texture, texture)) {
            known.used = frame;
            return Some(known.id);
        }
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let id = renderer.register_native_texture(&state.device, &view, wgpu::FilterMode::Nearest);
        self.known.push(Known { texture: texture.clone(), id, used: frame });
        Some(id)
    }
}
