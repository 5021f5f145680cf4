//! The actor that both faces drive: commands in, events out.
