//! The only place that knows on which platform the program runs.
