"""A server that keeps TensorFlow Serving's REST contract, for machines without the real one.

command.py     the command export/serve.py
settings.py    what it may be told: address, limits, batching
app.py         paths and requests (ASGI)
connection.py  HTTP connections: slow senders, damaged requests, how many there may be
versions.py    model folders watched, versions loaded and unloaded
servable.py    one loaded version
warmup.py      the requests that a model brings along
tensors.py     JSON to arrays and back
frames.py      the size of encoded frames, before anything decodes them
batching.py    concurrent requests run together
metrics.py     Prometheus
errors.py      what went wrong, as the contract says it
"""
