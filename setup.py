"""Maps the folders of the repository to the packages `tessera.*`; builds the coder and the kernels of `models`."""

from __future__ import annotations

import sys
from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import setup

HERE = Path(__file__).resolve().parent
FOLDERS = ("codec", "entropy", "models", "data", "tools")
NOT_SUBPACKAGES = {"codec/root"}  # the root package itself is mapped below


def packages() -> dict[str, str]:
    """Package name -> folder, for every folder of ours that holds an `__init__.py`."""
    found = {"tessera": "codec/root", **{f"tessera.{folder}": folder for folder in FOLDERS}}
    for folder in FOLDERS:
        for init in sorted((HERE / folder).rglob("__init__.py")):
            path = init.parent.relative_to(HERE).as_posix()
            if path not in NOT_SUBPACKAGES:
                found["tessera." + path.replace("/", ".")] = path
    return found


def extension(name: str, folder: str) -> Pybind11Extension:
    """Every .cpp of `folder`; nothing is contracted, so that floats are the same on every path."""

    def files(suffix: str) -> list[str]:
        return sorted(path.relative_to(HERE).as_posix() for path in (HERE / folder).glob("*" + suffix))

    return Pybind11Extension(
        name,
        files(".cpp"),
        depends=files(".hpp") + files(".inc"),
        include_dirs=[folder],
        extra_compile_args=["/O2"] if sys.platform == "win32" else ["-O3", "-ffp-contract=off", "-Wno-psabi"],
        cxx_std=17,
    )


PACKAGES = packages()
ParallelCompile("NPY_NUM_BUILD_JOBS").install()

setup(
    packages=list(PACKAGES),
    package_dir=PACKAGES,
    package_data={
        "tessera": ["py.typed"],
        "tessera.codec": ["FORMAT.md"],
        "tessera.data": ["*.csv"],
        "tessera.entropy": ["*.pyi"],
        "tessera.models": ["*.pyi", "weights/*.safetensors", "weights/README.md"],
    },
    include_package_data=False,
    ext_modules=[
        extension("tessera.entropy._coder", "entropy"),
        extension("tessera.models._kernels", "models/kernels"),
    ],
    cmdclass={"build_ext": build_ext},
)
