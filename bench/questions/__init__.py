"""One question each: `run(settings) -> Outcome`, fixed work, all its peers in one go."""
