"""The viewer's pages, a module each, beside their templates."""
