//! Recipes, schedules, the trainer, run folders and checkpoints.
