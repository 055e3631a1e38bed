//! Chromium without a window, spoken to over pipes by the `DevTools` protocol.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// Two pipes become the descriptors that `--remote-debugging-pipe` reads and writes.
const OVER_PIPES: &str = r#"exec "$0" "$@" 3<&0 4>&1 < /dev/null > /dev/null 2>&1"#;

pub(crate) struct Browser {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Option<String>,
    sent: u64,
    /// What was reported since the last page was opened.
    pub(crate) events: Vec<Value>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// The one that is installed; nothing if there is none and a test may be left out.
    pub(crate) fn start() -> Option<Self> {
        let named = std::env::var_os("EGRESS_GUARD_CHROMIUM").map(PathBuf::from);
        let usual = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium", "/usr/bin/google-chrome"];
        let Some(program) = named.into_iter().chain(usual.map(PathBuf::from)).find(|path| path.is_file()) else {
            assert!(
                egress_guard_tests::may_skip(),
                "no browser: install Debian's chromium, or name one in EGRESS_GUARD_CHROMIUM"
            );
            eprintln!("skipped: no browser; install chromium, or name one in EGRESS_GUARD_CHROMIUM");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new("sh")
            .args(["-c", OVER_PIPES])
            .arg(program)
            // No name is looked up, and whatever is asked for goes to a proxy that is not there.
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync", "--hide-scrollbars", "--disable-dev-shm-usage"])
            .args([
                "--host-resolver-rules=MAP * ~NOTFOUND",
                "--proxy-server=127.0.0.1:1",
                "--proxy-bypass-list=<-loopback>",
            ])
            .arg("--remote-debugging-pipe")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut browser =
            Self { process, input, output, session: None, sent: 0, events: Vec::new(), _profile: profile };
        let created = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": created["targetId"], "flatten": true});
        browser.session = browser.call("Target.attachToTarget", &attach)["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Network", "Log", "Runtime", "Audits"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).unwrap();
        loop {
            let answer = self.receive();
            if answer["id"] == self.sent {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    fn receive(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.output.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser has ended");
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Opens a file, with nothing reported before.
    pub(crate) fn open(&mut self, file: &Path) {
        self.events.clear();
        let navigated = self.call("Page.navigate", &json!({"url": format!("file://{}", file.display())}));
        assert!(navigated["errorText"].is_null(), "{navigated}");
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.receive();
            self.events.push(event);
        }
        // Two frames later all that a page does by itself has been asked for.
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))");
    }

    pub(crate) fn size(&mut self, width: u32, height: u32, scheme: &str) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", &features);
    }

    /// What an expression gives, which the page's own policy does not hinder.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.call("Runtime.evaluate", &params);
        assert!(result["exceptionDetails"].is_null(), "{}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// The PNG of what is seen, in base64.
    pub(crate) fn picture(&mut self) -> String {
        let picture = self.call("Page.captureScreenshot", &json!({"format": "png"}));
        picture["data"].as_str().unwrap().to_owned()
    }

    /// What the page asked for, but itself.
    pub(crate) fn requests(&self) -> Vec<String> {
        let sent = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        let urls = sent.map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned());
        urls.skip(1).collect()
    }

    /// What the page tried against its content security policy, and every other complaint.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let is_one = |event: &&Value| {
            ["Audits.issueAdded", "Log.entryAdded", "Runtime.exceptionThrown"].iter().any(|m| event["method"] == *m)
        };
        self.events.iter().filter(is_one).map(Value::to_string).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
