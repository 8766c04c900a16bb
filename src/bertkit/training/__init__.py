"""The loop, optimizers and schedules, checkpoints, trackers."""
