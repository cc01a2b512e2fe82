"""The proxies: what each measures, and where it applies. Names and formulas; no torch to import."""

from vitruvius.tools.proxies.formula import Formula, Proxy
from vitruvius.tools.proxies.registry import PROXIES, computable, proxies_for

__all__ = ["PROXIES", "Formula", "Proxy", "computable", "proxies_for"]
