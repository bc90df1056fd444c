"""The search index: in a file of its own, in PostgreSQL, or in OpenSearch."""
