#!/bin/sh
# aarch64.sh -- cross compiles everything and runs the unit tests under qemu-user. The libraries
# come as arm64 packages into build/aarch64-root, with an apt state of its own: the machine is not
# changed. Ends with 77 and a reason where the compiler, qemu or the packages cannot be had.
set -eu
cd "$(dirname "$0")/.."
packages='libcmocka-dev libcmocka0 libxxhash-dev libxxhash0 libssl-dev libssl3 libnghttp2-dev libnghttp2-14
zlib1g-dev zlib1g libbrotli-dev libbrotli1 libzstd-dev libzstd1'
triplet=aarch64-linux-gnu
root=$PWD/build/aarch64-root
build=build/aarch64

cannot() { echo "$1"; exit 77; }

# The packages unpacked, no more: no root needed, no foreign architecture for the machine's dpkg.
fetch() {
    apt=$root/apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs"
    : >"$apt/status"
    set -- -qq -o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" \
        -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=root
    apt-get "$@" update
    # shellcheck disable=SC2086
    (cd "$apt/debs" && apt-get "$@" download $packages)
    for deb in "$apt"/debs/*.deb; do
        dpkg-deb -x "$deb" "$root"
    done
    rm -rf "$apt"
    echo "$packages" >"$root/packages"
}

command -v $triplet-gcc >/dev/null || cannot 'no aarch64 cross compiler'
command -v qemu-aarch64 >/dev/null || cannot 'no qemu-user'
if [ "$(cat "$root/packages" 2>/dev/null)" != "$packages" ]; then
    rm -rf "$root" $build
    fetch || cannot 'no arm64 packages to be had'
fi
# libzstd's .pc file names no folder of this architecture, so the linker is told of it here.
if ! grep -qs c_link_args "$root/cross.ini" || [ ! -e $build/build.ninja ]; then
    rm -rf $build
    cat >"$root/cross.ini" <<END
[binaries]
c = '$triplet-gcc'
ar = '$triplet-ar'
objcopy = '$triplet-objcopy'
strip = '$triplet-strip'
pkgconfig = 'pkg-config'
exe_wrapper = ['qemu-aarch64', '-L', '/usr/$triplet', '-E', 'LD_LIBRARY_PATH=$root/usr/lib/$triplet']
[built-in options]
c_args = ['-I$root/usr/include/$triplet']
c_link_args = ['-L$root/usr/lib/$triplet']
[properties]
sys_root = '$root'
pkg_config_libdir = '$root/usr/lib/$triplet/pkgconfig'
[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'
END
    meson setup $build . --cross-file "$root/cross.ini" -Dtests=enabled
fi
ninja --quiet -C $build
