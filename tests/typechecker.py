"""beartype with the numeric tower of PEP 484: an int is accepted where a float is asked for."""

from beartype import BeartypeConf, beartype

typechecker = beartype(conf=BeartypeConf(is_pep484_tower=True))
