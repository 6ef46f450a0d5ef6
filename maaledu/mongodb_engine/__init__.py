"""MongoDB's own Django backend, with what it gets wrong put right; the settings name it."""
