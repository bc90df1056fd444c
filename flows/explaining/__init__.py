"""Why a request came to what it came to: where each value is from, what left an element out, what was signed."""
