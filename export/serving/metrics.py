"""What the server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

METRICS_PATH = "/monitoring/prometheus/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_REQUESTS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters and histograms of one server.

    Attributes:
        requests: answered, by `model` ("" for a path without one) and HTTP `status`.
        request_seconds: from the head's arrival to the answer, by `model`.
        run_seconds: of a batch in the model.
        batch_requests: requests that ran together.
        split_batches: batches that failed and ran again request by request.
        queue: requests that wait for their batch.
        refused_connections: because there were too many.
        versions: 1 per `model` and `version` that is served.
    """

    def __init__(self):
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        kept = {"namespace": "lsps_serving", "registry": self.registry}
        self.requests = Counter("requests", "Requests answered", ["model", "status"], **kept)
        self.request_seconds = Histogram("request_seconds", "Time of a request", ["model"], buckets=_SECONDS, **kept)
        self.run_seconds = Histogram("run_seconds", "Time of a batch in the model", buckets=_SECONDS, **kept)
        self.batch_requests = Histogram("batch_requests", "Requests that ran together", buckets=_REQUESTS, **kept)
        self.split_batches = Counter("split_batches", "Batches that failed and ran again one by one", **kept)
        self.queue = Gauge("queue_requests", "Requests that wait for their batch", **kept)
        self.refused_connections = Counter("refused_connections", "Connections beyond the limit", **kept)
        self.versions = Gauge("version_served", "Versions that are served", ["model", "version"], **kept)

    def page(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)
