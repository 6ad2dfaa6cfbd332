#!/usr/bin/env bash
# Golden streams on another architecture, under qemu: tests/support/foreign.sh arm64|s390x FOLDER
#
# Needs Debian (or Ubuntu) of the Python that Debian has, `apt-get install qemu-user-static g++-aarch64-linux-gnu`
# (or g++-s390x-linux-gnu), and Python 3 with setuptools, pybind11 and numpy. Packages of the other architecture are
# unpacked into FOLDER; nothing of them is installed. FOLDER is kept: a second call compiles and runs only.
set -euo pipefail

architecture=$1 folder=$(mkdir -p "$2" && cd "$2" && pwd)
source=$(cd "$(dirname "$0")/../.." && pwd)
case $architecture in
    arm64) machine=aarch64 ;;
    s390x) machine=s390x ;;
    *) echo "arm64 or s390x, not $architecture" >&2 && exit 2 ;;
esac
triple=$machine-linux-gnu root=$folder/root

if ! [ -d "$root" ]; then  # a package list of its own: that of this machine stays as it is
    mkdir -p "$folder/apt/lists/partial" "$folder/cache/archives/partial"
    : >"$folder/apt/status"
    options=(-q -o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture" -o "Dir::State=$folder/apt"
        -o "Dir::State::status=$folder/apt/status" -o "Dir::Cache=$folder/cache" -o APT::Install-Recommends=0)
    apt-get "${options[@]}" update
    apt-get "${options[@]}" --yes --download-only install python3-minimal libpython3-dev libstdc++6 \
        python3-numpy python3-pil
    for package in "$folder"/cache/archives/*.deb; do dpkg-deb -x "$package" "$root.part"; done
    mv "$root.part" "$root"
fi

python=$(cd "$root/usr/bin" && echo python3.?? | cut -d' ' -f1)
compiler=${CXX:-$triple-g++}
flags=(-std=c++17 -fPIC -fvisibility=hidden -ffp-contract=off -Wno-psabi
    -I"$(python3 -c 'import pybind11; print(pybind11.get_include())')"
    -I"$root/usr/include/$python" -idirafter "$root/usr/include")

# compile FOLDER NAME: every .cpp of a folder to an extension module; bindings, which only pass arguments on, in haste
compile() {
    local objects=$folder/objects/$1
    mkdir -p "$objects" "$(dirname "$folder/package/tessera/$2")"
    export compiler objects
    (cd "$source" && printf '%s\0' "$1"/*.cpp | xargs -0 -P "$(nproc)" -I{} sh -c '
        case {} in */bindings*) level=-O0 ;; *) level=-O3 ;; esac
        $compiler $level "$@" -c {} -o "$objects/$(basename {} .cpp).o"' - "${flags[@]}" -I"$1" -Ientropy/kernels)
    $compiler -shared "$objects"/*.o -o "$folder/package/tessera/$2.cpython-${python//[!0-9]/}-$triple.so"
}

(cd "$source" && python3 setup.py -q build_py --build-lib "$folder/package")
compile entropy/kernels entropy/_coder
compile models/kernels models/_kernels

cd "$source"
exec "qemu-$machine-static" -L "$root" -E PYTHONPATH="$folder/package" -E PYTHONDONTWRITEBYTECODE=1 \
    -E LD_LIBRARY_PATH="/usr/lib/$triple/blas:/usr/lib/$triple/lapack" "$root/usr/bin/$python" -m tests.support.foreign
