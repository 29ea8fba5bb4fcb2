"""One way to a language model: a client for any OpenAI-compatible endpoint, and the offline rehearsal endpoint."""
