//! Signing in over SSH with a key in the PIV application, against a real sshd on loopback.

use std::fs::Permissions;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tapkey_tests::parts::{command, part};

use super::piv::{Host, MANAGEMENT};

/// It wants to be started by its full name.
const SSHD: &str = "/usr/sbin/sshd";

/// A server of this test alone, which ends with it.
struct Sshd {
    child: Child,
    port: u16,
}

impl Sshd {
    fn start(host: &Host) -> Self {
        ssh_keygen(host, &["-q", "-t", "ed25519", "-N", "", "-f", "@host_key"]);
        let file = |name| host.file(name);
        let configuration = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nPidFile {}\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n",
            file("host_key"),
            file("authorized_keys"),
            file("sshd.pid"),
        );
        host.write("sshd_config", configuration);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        part("sshd").unwrap();
        let options = format!("-D -e -f {} -o ListenAddress=127.0.0.1:{port}", file("sshd_config"));
        // For root it wants an empty folder under /run, which is made where nobody else sees it.
        let script = if is_root() {
            format!("mount -t tmpfs none /run && mkdir /run/sshd && exec {SSHD} {options}")
        } else {
            format!("exec {SSHD} {options}")
        };
        let log = std::fs::File::create(host.path("sshd.log")).unwrap();
        let mut command = if is_root() { command(part("unshare").unwrap()) } else { Command::new("env") };
        if is_root() {
            command.args(["--mount", "--kill-child"]);
        }
        let child = command.args(["sh", "-c", &script]).stderr(log).spawn().unwrap();
        let sshd = Self { child, port };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = String::from_utf8_lossy(&host.read("sshd.log")).into_owned();
            assert!(start.elapsed() < Duration::from_secs(10), "{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        sshd
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Nothing to be done where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ssh_keygen(host: &Host, arguments: &[&str]) -> String {
    part("ssh").unwrap();
    host.run_at(Path::new("ssh-keygen"), arguments).succeeds().unwrap()
}

fn id(option: &str) -> String {
    let output = Command::new("id").arg(option).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn is_root() -> bool {
    id("-u") == "0"
}

/// Programs ask this one for the PIN.
fn askpass(host: &Host, pin: &str) -> String {
    let path = host.write("askpass", format!("#!/bin/sh\necho {pin}\n"));
    std::fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    path
}

/// Runs a command line with the PIN at hand.
fn shell(host: &Host, pin: &str, line: &str) -> tapkey_tests::pcscd::Run {
    let environment = format!("SSH_ASKPASS={} SSH_ASKPASS_REQUIRE=force", askpass(host, pin));
    part("ssh").unwrap();
    host.run_at(Path::new("sh"), &["-c", &format!("export {environment}; {line}")])
}

/// The module's file, by its full name: an agent takes nothing else.
fn module() -> String {
    let list = Command::new("/sbin/ldconfig").arg("-p").output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let line = list.lines().find(|line| line.contains("libykcs11.so")).expect("ykcs11 is installed");
    std::fs::canonicalize(line.split("=> ").nth(1).unwrap()).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn signing_in_with_the_key() {
    part("ykcs11").unwrap();
    let host = Host::new();
    for (slot, algorithm) in [("9a", "RSA2048"), ("9d", "ECCP256")] {
        host.ykman(&["keys", "generate", "-m", MANAGEMENT, "-a", algorithm, slot, "@public.pem"]);
        host.ykman(&[
            "certificates",
            "generate",
            "-m",
            MANAGEMENT,
            "-P",
            "123456",
            "-s",
            "CN=ssh",
            slot,
            "@public.pem",
        ]);
    }
    let module = module();
    let keys = ssh_keygen(&host, &["-D", &module]);
    let sshd = Sshd::start(&host);
    let ssh = |key: &str| {
        format!(
            "ssh -F none -p {} -l {} -o UserKnownHostsFile={} -o StrictHostKeyChecking=accept-new \
             -o PreferredAuthentications=publickey {key} 127.0.0.1 echo signed-in",
            sshd.port,
            id("-un"),
            host.file("known_hosts"),
        )
    };
    let by_module = ssh(&format!("-I {module}"));
    for kind in ["ssh-rsa", "ecdsa-sha2-nistp256"] {
        let line =
            keys.lines().find(|line| line.starts_with(kind)).unwrap_or_else(|| panic!("{kind}: {keys}"));
        host.write("authorized_keys", format!("{line}\n"));
        let said = shell(&host, "123456", &by_module).succeeds().unwrap_or_else(|error| {
            panic!("{kind}: {error}\n{}", String::from_utf8_lossy(&host.read("sshd.log")))
        });
        assert_eq!(said.trim(), "signed-in");
    }
    shell(&host, "000000", &by_module).fails().unwrap();

    // Through an agent, which keeps the session with the key.
    let agent = format!(
        "eval $(ssh-agent -s -P '{module}') >/dev/null; trap 'kill $SSH_AGENT_PID' EXIT; \
         ssh-add -q -s {module} && {}",
        ssh("")
    );
    assert_eq!(shell(&host, "123456", &agent).succeeds().unwrap().trim(), "signed-in");
    // Another key does not do.
    ssh_keygen(&host, &["-q", "-t", "ed25519", "-N", "", "-f", "@stranger"]);
    std::fs::copy(host.path("stranger.pub"), host.path("authorized_keys")).unwrap();
    shell(&host, "123456", &by_module).fails().unwrap();
}
