"""How fast is Parley, and what does it cost? Every figure is measured in the run that prints it."""
