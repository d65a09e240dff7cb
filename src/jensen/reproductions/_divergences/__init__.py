"""What the choice of f does: targets with known answers, the divergences, and what is measured of a fit."""
