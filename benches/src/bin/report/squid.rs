//! squid, as Debian has it: a forward proxy with the same allowlist, on a loopback address.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use crate::Failure;
use crate::processes::Ending;

#[derive(Debug)]
pub(crate) struct Squid {
    pub(crate) port: u16,
    pub(crate) version: String,
    _process: Ending,
    _folder: TempDir,
}

impl Squid {
    /// None if it is not installed.
    pub(crate) fn start(hosts: &[String], host: &str) -> Result<Option<Self>, Failure> {
        let Some(program) = ["/usr/sbin/squid", "/usr/bin/squid"].into_iter().find(|path| Path::new(path).exists())
        else {
            return Ok(None);
        };
        let version = Command::new(program).arg("-v").output()?.stdout;
        let version = String::from_utf8_lossy(&version).lines().next().unwrap_or_default().replace("Squid Cache: ", "");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let folder = tempfile::tempdir()?;
        // squid gives up root's rights and must still write here.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
        let configuration = folder.path().join("squid.conf");
        fs::write(folder.path().join("hosts"), format!("127.0.0.1 {host}\n"))?;
        fs::write(folder.path().join("allowlist"), hosts.join("\n"))?;
        fs::write(&configuration, configure(folder.path(), port))?;
        let mut squid = Command::new(program);
        squid.arg("-N").arg("-f").arg(&configuration).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Ending(squid.spawn()?);
        for _ in 0..100 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(Some(Self { port, version, _process: process, _folder: folder }));
            }
            sleep(Duration::from_millis(100));
        }
        let log = fs::read_to_string(folder.path().join("cache.log")).unwrap_or_default();
        Err(format!("squid does not listen on {port}:\n{log}").into())
    }
}

/// No cache, no DNS, an access log: what a forward proxy for egress does, and no more.
fn configure(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "http_port 127.0.0.1:{port}
acl listed dstdomain \"{folder}/allowlist\"
http_access allow listed
http_access deny all
cache deny all
cache_mem 8 MB
hosts_file {folder}/hosts
dns_nameservers 127.0.0.1
access_log stdio:{folder}/access.log
cache_log {folder}/cache.log
pid_filename {folder}/squid.pid
coredump_dir {folder}
netdb_filename none
pinger_enable off
shutdown_lifetime 0 seconds
visible_hostname localhost
"
    )
}
