"""For tests of surfaces, sessions and plugins: scripted rooms, a manual clock, conformance checks."""
