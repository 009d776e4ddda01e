"""The templates' tests run in the projects that are made of them (tests/test_projects.py)."""

collect_ignore = ["src"]
