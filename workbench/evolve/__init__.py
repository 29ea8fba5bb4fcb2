"""The search: settings, curriculum, mutation by edits, reflection, archive, and the run directory."""
