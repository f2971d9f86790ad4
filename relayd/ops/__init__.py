"""The process: configuration, clock, tasks, logging, metrics, signals."""
