//! Metrics and baselines a reconstruction is judged by.
