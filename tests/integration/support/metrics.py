"""Single metrics of a service."""

from prometheus_client.parser import text_string_to_metric_families

from services.client import ServiceClient


def metric(client: ServiceClient, name: str, **labels: str) -> float:
    """The sum of all samples called *name* that carry *labels*; 0 when there is none."""
    samples = [sample for family in text_string_to_metric_families(client.metrics().text) for sample in family.samples]
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())
