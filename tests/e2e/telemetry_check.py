"""Reads what a monitor and a collector would read, with their own parsers. Lines of JSON in, lines of JSON out."""

import json
import sys

from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families


def metrics(page):
    families = {}
    for family in text_string_to_metric_families(page):
        assert family.documentation, family.name
        assert family.type != "unknown", family.name
        assert family.name not in families, f"{family.name} twice"
        samples = [[sample.name, sample.labels, sample.value] for sample in family.samples]
        assert len({json.dumps(sample[:2], sort_keys=True) for sample in samples}) == len(samples), family.name
        families[family.name] = {"type": family.type, "samples": samples}
        if family.type == "histogram":
            check_histogram(samples)
    return families


def check_histogram(samples):
    series = {}
    for name, labels, value in samples:
        if name.endswith("_bucket"):
            key = json.dumps({k: v for k, v in labels.items() if k != "le"}, sort_keys=True)
            series.setdefault(key, []).append((float(labels["le"]), value))
    for buckets in series.values():
        assert buckets == sorted(buckets), buckets
        assert [count for _, count in buckets] == sorted(count for _, count in buckets), buckets
        assert buckets[-1][0] == float("inf")


def traces(body):
    # Strict: a member that the schema does not know is an error.
    request = Parse(body, ExportTraceServiceRequest())
    return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)


for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"metrics": metrics, "traces": traces}[asked["kind"]](asked["text"])), flush=True)
