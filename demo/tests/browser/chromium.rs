//! Chromium, driven from outside.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use fantoccini::{Client, ClientBuilder};
use serde_json::json;

use crate::Result;

/// A driver on a free port, gone with its browsers when it is dropped.
pub(crate) struct Chromium {
    driver: Child,
    port: u16,
}

impl Chromium {
    pub(crate) fn start() -> Result<Self> {
        let program = std::env::var_os("SESSION_TEST_CHROMEDRIVER").filter(|path| !path.is_empty());
        let mut driver = Command::new(program.unwrap_or_else(|| "chromedriver".into()))
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!(
                    "chromedriver cannot be started ({error}). Debian, Ubuntu: sudo apt-get install chromium \
                     chromium-driver; or name it: SESSION_TEST_CHROMEDRIVER=/path/to/chromedriver"
                )
            })?;
        let stdout = driver.stdout.take().ok_or("standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let port = loop {
            let line = lines.next().ok_or("chromedriver ended")??;
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim_end_matches('.').parse()?;
            }
        };
        std::thread::spawn(move || lines.map_while(std::result::Result::ok).for_each(drop));
        Ok(Self { driver, port })
    }

    /// A browser of its own, with nothing in it.
    pub(crate) async fn browser(&self) -> Result<Client> {
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ];
        let capabilities = json!({
            "browserName": "chrome",
            // The certificate of the demo is signed by nobody.
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": arguments },
        });
        let serde_json::Value::Object(capabilities) = capabilities else {
            unreachable!("an object")
        };
        let url = format!("http://127.0.0.1:{}", self.port);
        Ok(ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&url)
            .await?)
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // A browser of a test that fails before it closes it stays: the driver does not end those.
        #[cfg(unix)]
        {
            let _ = Command::new("kill").arg(self.driver.id().to_string()).status();
        }
        #[cfg(not(unix))]
        {
            let _ = self.driver.kill();
        }
        let _ = self.driver.wait();
    }
}
