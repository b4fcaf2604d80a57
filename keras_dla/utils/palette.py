"""Class colours that colour-blind readers can tell apart."""

# The colour-blind safe palette of Okabe and Ito without black, and which of its colours are dark.
PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#0072b2")
DARK = ("#009e73", "#d55e00", "#0072b2")
