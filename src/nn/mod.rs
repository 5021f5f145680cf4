//! Layers as functions from graph variables to graph variables, and parameters.
