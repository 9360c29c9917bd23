"""How the results of this repository were made. Nobody needs it to use the project."""
