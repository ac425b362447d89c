"""The parts of ``docs`` that are computed: ``python -m tools.documents`` writes them."""
