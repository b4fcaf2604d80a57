"""The recurrent units of dynamic layer attention (Eq. 7-9)."""
