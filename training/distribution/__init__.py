"""Several replicas, of one machine or of many, that share the steps of a run."""
