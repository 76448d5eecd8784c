"""Python files that are put beside the programs of batches; the service never imports them."""
