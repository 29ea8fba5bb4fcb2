"""The offline rehearsal endpoint: a rule-based stand-in that speaks the OpenAI wire protocol."""
