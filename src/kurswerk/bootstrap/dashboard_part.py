"""The dashboard as a part of the service: in front of the API, in the same server."""

from contextlib import AbstractContextManager

from fastapi import FastAPI

from kurswerk.api import ApiOptions, ApiPorts
from kurswerk.bootstrap import api_part
from kurswerk.bootstrap.dashboard import dashboard_services
from kurswerk.bootstrap.service import Service
from kurswerk.dashboard import DashboardOptions, mount
from kurswerk.observability import ResourceSampler


def part(service: Service) -> api_part.ApiPart:
    """Make the API with the dashboard in front of it.

    Raises
    ------
    ConflictError
        As for the API alone.
    """

    def add_dashboard(app: FastAPI, services: ApiPorts, options: ApiOptions) -> AbstractContextManager[object]:
        sampler = ResourceSampler(services.metrics_text, service.settings.data_dir)
        pages = dashboard_services(
            service.settings,
            service.stores,
            service.prediction_feed,
            services.jobs,
            services.health,
            sampler.samples,
        )
        mount(
            app, pages, DashboardOptions(options.require_keys, options.allowed_hosts, path_prefix=options.path_prefix)
        )
        return sampler

    return api_part.part(service, add_dashboard)
