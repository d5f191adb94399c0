"""What lies outside: secrets, image registries, the model hub, NGC, OpenAI-compatible endpoints."""
