"""The built-in demo upstream: OpenAI, Anthropic and Gemini shapes, no network."""
