# The same commands for people and for continuous integration. Each is a script that also works
# without `just`.

# List the recipes.
default:
    @just --list

# See a key enrolled, its password accepted, the replay refused.
demo *arguments:
    scripts/demo {{arguments}}

# Run everything, or only the tests whose names match.
test *filters:
    scripts/test {{filters}}

# Boot Debian's kernel in a virtual machine and test what needs one.
lab *filters:
    scripts/lab {{filters}}

# The same, with what takes minutes.
lab-full *filters:
    scripts/lab full {{filters}}

# A shell in that machine; Ctrl-D leaves.
lab-shell *arguments:
    scripts/lab shell {{arguments}}

# Format, lints with warnings denied, documentation, tests.
check:
    scripts/check

# Format, lints and documentation only.
lint:
    scripts/check lint

# Measure side by side with the peers; writes target/bench/.
bench *arguments:
    scripts/bench {{arguments}}

# Feed every parser random bytes, SECONDS each (needs a nightly compiler and cargo-fuzz).
fuzz seconds="20":
    scripts/fuzz {{seconds}}

# Compile with the minimum Rust version (needs rustup).
msrv:
    rustup run "$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)" cargo check --locked --workspace --all-features

# Run the driver's scenarios on a real key. ERASES both OTP slots of the key with this serial.
test-hardware serial:
    scripts/test-hardware {{serial}}
