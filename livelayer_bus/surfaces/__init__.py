"""The surfaces that come with the package: a terminal and a recorder."""
