"""What is measured: a module or a package for each area, with its worker processes."""
