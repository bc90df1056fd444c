"""An old and a new provider file over stored deliveries, compared by meaning. Nothing is written."""
