"""How much of a provider file its golden cases reach, what of payloads it reads, what of commands it sets."""
