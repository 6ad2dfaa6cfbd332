"""Maps the folders of the repository to the packages `tessera.*`; builds the coder and the kernels of `models`."""

from __future__ import annotations

import sys
from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import setup

HERE = Path(__file__).resolve().parent
FOLDERS = ("codec", "entropy", "models", "data", "tools")
SHARED = "entropy/kernels"  # whose headers every extension may include: the dispatch by processor
UNIX, EXACT, FAST = ["-O3", "-g0", "-Wno-psabi"], ["-ffp-contract=off"], ["-ffp-contract=fast", "-fno-math-errno"]
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


def extension(name: str, folder: str, *, exact: bool = True) -> Pybind11Extension:
    """Every .cpp of `folder`.

    exact: nothing is contracted, so that floats are the same on every path; else products and sums may be one.
    """

    def files(where: str, *suffixes: str) -> list[str]:
        found = (path for suffix in suffixes for path in (HERE / where).glob("*" + suffix))
        return sorted(path.relative_to(HERE).as_posix() for path in found)

    folders = [folder] if folder == SHARED else [folder, SHARED]
    return Pybind11Extension(
        name,
        files(folder, ".cpp"),
        # headers of the folder above, too: the fit's threads are those of the kernels
        depends=[path for where in (*folders, Path(folder).parent.as_posix()) for path in files(where, ".hpp", ".inc")],
        include_dirs=folders,
        extra_compile_args=["/O2"] if sys.platform == "win32" else [*UNIX, *(EXACT if exact else FAST)],
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
        extension("tessera.entropy._coder", "entropy/kernels"),
        extension("tessera.models._kernels", "models/kernels"),
        extension("tessera.models._fit", "models/kernels/fit", exact=False),
    ],
    cmdclass={"build_ext": build_ext},
)
