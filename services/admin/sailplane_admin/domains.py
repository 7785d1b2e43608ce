"""Domains: the stages that every project has. They are a setting of the installation."""

from sailplane_protos.admin import project_pb2

from .ports import AdminSettings


def of(settings: AdminSettings) -> list[project_pb2.Domain]:
    """All domains of this installation."""
    return [project_pb2.Domain(id=domain, name=domain) for domain in settings.domains]


def get_all(settings: AdminSettings) -> project_pb2.GetDomainsResponse:
    """The reply to GetDomains."""
    return project_pb2.GetDomainsResponse(domains=of(settings))
