# Shared by the scripts of this folder; sourced, never run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '\n== %s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# The minimum Rust version stands in the workspace manifest alone.
minimum_rust() { sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml; }

at_least() { # at_least WANTED FOUND
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

need_rust() {
    local wanted found
    wanted=$(minimum_rust)
    if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
        fail "Rust $wanted or newer is needed, and no cargo was found.
Install it with rustup (see https://rustup.rs), then run this again."
    fi
    found=$(rustc --version | cut -d' ' -f2)
    at_least "$wanted" "${found%%-*}" || fail "Rust $wanted or newer is needed; this is $found ($(command -v rustc)).
A distribution's own package is often older. Install rustup (see https://rustup.rs), then:
    rustup toolchain install stable
and run this again in a shell where 'rustc --version' shows the new one."
    command -v cc >/dev/null || fail "a C compiler is needed for the embedded database; on Debian: apt-get install build-essential"
}

# need_packages PACKAGE...: installs what is missing, on systems with apt.
need_packages() {
    local missing=() package sudo=()
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        fail "this system has no apt. Install the equivalents of these Debian packages, then run
the cargo commands that stand in this script: $*"
    fi
    for package in "$@"; do
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "these packages are missing and there is no sudo; as root run:
    apt-get install --no-install-recommends ${missing[*]}"
        sudo=(sudo)
    fi
    say "installing: ${missing[*]}"
    # Packages that bring a daemon must not start it: a test starts what it needs itself.
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# What building the workspace needs beside Rust and a C compiler.
build_packages=(pkg-config libpcsclite-dev)
