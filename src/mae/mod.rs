//! The masked autoencoder: presets, encoder, decoder, masking and losses.
