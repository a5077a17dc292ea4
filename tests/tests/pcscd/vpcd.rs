//! The emulated key in a reader of vsmartcard's vpcd.

use std::{path::PathBuf, process::Command};

use tapkey_tests::{
    parts::{command, part, root},
    tapkey,
};

/// Runs in namespaces of its own, because vpcd listens on every address at a fixed port.
const SCRIPT: &str = r#"
set -eu
ip link set lo up
mount -t tmpfs tmpfs /run
mkdir /run/pcscd
mount -t tmpfs tmpfs /usr/lib/pcsc/drivers
unset PCSCLITE_CSOCK_NAME
/usr/sbin/pcscd --foreground --config "$PWD/conf" >pcscd.log 2>&1 &
tries=0
until "$TAPKEY" emulate run key.json --vpcd >tapkey.log 2>&1; do
    tries=$((tries + 1)); [ $tries -lt 100 ] || { cat tapkey.log; exit 1; }
    sleep 0.1
done &
tries=0
until opensc-tool --list-readers | grep -q 'Yes.*Yubico YubiKey'; do
    tries=$((tries + 1)); [ $tries -lt 100 ] || { cat pcscd.log tapkey.log; exit 1; }
    sleep 0.1
done
"$PYTHON" -c "$MEASURE"
"$YKMAN" --reader 'Yubico YubiKey OTP+FIDO+CCID 00 00' info
"#;

/// Half a second for ten commands would be the delayed acknowledgements.
const MEASURE: &str = "
import time
from smartcard.System import readers
card = readers()[0].createConnection()
card.connect()
start = time.monotonic()
for _ in range(40):
    data, sw1, sw2 = card.transmit([0, 0xA4, 4, 0, 7, 0xA0, 0, 0, 5, 0x27, 0x20, 1])
    assert (sw1, sw2) == (0x90, 0) and data[:3] == [5, 7, 4], (data, sw1, sw2)
print('milliseconds', (time.monotonic() - start) * 1000 / 40)
card.disconnect()
";

#[test]
fn a_card_that_pcscd_reaches_over_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |path| root().join(path));
    let driver = target.join("third-party/vpcd/libifdvpcd.so");
    assert!(driver.exists(), "{} is missing: run scripts/vpcd", driver.display());
    // pcscd's configuration takes few characters.
    let link = folder.path().join("vpcd.so");
    std::os::unix::fs::symlink(&driver, &link).unwrap();
    std::fs::create_dir(folder.path().join("conf")).unwrap();
    let conf = format!(
        "FRIENDLYNAME \"Yubico YubiKey OTP+FIDO+CCID\"\nDEVICENAME /dev/null:0x8C7B\nLIBPATH {}\nCHANNELID 0x8C7B\n",
        link.display()
    );
    std::fs::write(folder.path().join("conf/vpcd"), conf).unwrap();

    let python: PathBuf = part("ykman").unwrap();
    for name in ["pcscd", "opensc-tool", "ip"] {
        part(name).unwrap();
    }
    let mut command = command(part("unshare").unwrap());
    if !Command::new("id").arg("-u").output().unwrap().stdout.starts_with(b"0\n") {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", SCRIPT]);
    command.current_dir(folder.path()).env("HOME", folder.path()).env("MEASURE", MEASURE);
    command.env("TAPKEY", tapkey::binary().unwrap()).env("YKMAN", python.with_file_name("ykman"));
    let output = command.env("PYTHON", python).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("Device type: YubiKey 5 NFC"), "{text}");
    let time = text.lines().find_map(|line| line.strip_prefix("milliseconds ")).unwrap();
    assert!(time.parse::<f64>().unwrap() < 20.0, "{time} ms a command");
}
