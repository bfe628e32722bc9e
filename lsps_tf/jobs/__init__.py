"""Many independent jobs: simulating, importing, finding hands, fitting, reading.

A job is a call without arguments that can be pickled. What it returns follows from what it holds. So a result depends
neither on who ran the job, nor on how many others ran beside it, nor on their order. `Workers` says who runs the jobs.
Everything else is the engine's: scheduling, transport, retries.
"""

from lsps_tf.jobs.workers import HERE, Engine, Job, Workers

__all__ = ["HERE", "Engine", "Job", "Workers"]
