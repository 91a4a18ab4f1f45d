"""The pages, one module each: what is asked of the participants, and the template that shows it."""
