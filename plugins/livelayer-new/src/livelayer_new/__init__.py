"""Projects from templates: a surface, an application, an agent."""

from .projects import KINDS, Kind, NameRefused, create_project

__all__ = ["create_project", "Kind", "KINDS", "NameRefused"]
