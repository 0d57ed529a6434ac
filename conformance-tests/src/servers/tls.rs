//! Throw-away certificates for servers on the loopback interface.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CONFIG: &str = "\
[req]
distinguished_name = name
prompt = no
[name]
CN = localhost
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
";

/// The files of a server's TLS set-up, all in PEM, in the server's temporary folder.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl TlsFiles {
    /// The authority's certificate: what a client has to trust.
    #[must_use]
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// The server's certificate, for `localhost`, `127.0.0.1` and `::1`.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// The server's private key.
    #[must_use]
    pub fn key(&self) -> &Path {
        &self.key
    }

    /// Makes an authority and a server certificate with the `openssl` command.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        std::fs::write(folder.join("tls.cnf"), CONFIG)?;
        let new_key = "req -config tls.cnf -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(
            folder,
            &format!(
                "{new_key} -x509 -days 30 -subj /CN=session-tests -extensions authority \
                 -keyout authority.key -out authority.crt"
            ),
        )?;
        openssl(folder, &format!("{new_key} -keyout server.key -out server.csr"))?;
        openssl(
            folder,
            "x509 -req -in server.csr -days 30 -CA authority.crt -CAkey authority.key \
             -CAcreateserial -extfile tls.cnf -extensions server -out server.crt",
        )?;
        Ok(Self {
            authority: folder.join("authority.crt"),
            certificate: folder.join("server.crt"),
            key: folder.join("server.key"),
        })
    }
}

fn openssl(folder: &Path, arguments: &str) -> io::Result<()> {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot run openssl ({error}); install it: `apt-get install openssl`"),
            )
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "openssl {}: {}",
        arguments.split_whitespace().next().unwrap_or_default(),
        String::from_utf8_lossy(&output.stderr).trim(),
    )))
}
