"""The workbench in the browser: read-only pages over a project's store."""

from residency.web.app import create_app, serve
from residency.web.security import check_host

__all__ = ["check_host", "create_app", "serve"]
