//! Just enough of the DevTools protocol to open a page, look at it and hear its complaints.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// For one answer, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the system's colours are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

/// A running browser; killed when dropped, with all its processes.
pub(crate) struct Chromium {
    child: Child,
    commands: File,
    messages: Receiver<Value>,
    /// Events that came while an answer was waited for.
    events: Vec<Value>,
    next: u64,
    _folder: tempfile::TempDir,
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // it takes its helpers along; the group's end is for the case that it hangs
        self.send(None, "Browser.close", &json!({}));
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Chromium {
    pub(crate) fn find() -> Option<PathBuf> {
        if let Some(named) = std::env::var_os("CHROMIUM") {
            return Some(named.into());
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let mut places = std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
        places.find(|file| file.is_file())
    }

    /// Starts it without a window. It speaks over two pipes, which it expects as file descriptors 3 and 4; the shell puts
    /// them there.
    pub(crate) fn start(program: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (to, from) = (folder.path().join("to"), folder.path().join("from"));
        let made = Command::new("mkfifo").args([&to, &from]).status().unwrap();
        assert!(made.success());
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        // as root there is no sandbox; the pages are ours
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-extensions",
            "--disable-background-networking",
            "--hide-scrollbars",
            // grey edges of letters make smaller pictures
            "--disable-lcd-text",
            "--remote-debugging-pipe",
        ];
        let child = Command::new("sh")
            .args([
                "-c",
                "to=$1 from=$2; shift 2; exec \"$@\" 3<\"$to\" 4>\"$from\"",
                "sh",
            ])
            .args([to.as_os_str(), from.as_os_str(), program.as_os_str()])
            .args(flags)
            .args([OsStr::new(&profile), OsStr::new("about:blank")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // each waits until the other side is open, in the shell's order
        let commands = OpenOptions::new().write(true).open(&to).unwrap();
        let answers = File::open(&from).unwrap();
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(answers).split(0) {
                let Ok(message) = message else { return };
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            commands,
            messages,
            events: Vec::new(),
            next: 0,
            _folder: folder,
        }
    }

    /// A new tab of this width; as high as a window of that kind.
    pub(crate) fn open(&mut self, width: u32, scheme: Scheme, javascript: bool) -> Tab<'_> {
        let target = self.call(None, "Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call(None, "Target.attachToTarget", &attach)["sessionId"].clone();
        let mut tab = Tab {
            session: session.as_str().unwrap().to_owned(),
            chromium: self,
        };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            tab.call(&format!("{domain}.enable"), &json!({}));
        }
        let mobile = width < 600;
        let height = if mobile { 844 } else { 900 };
        tab.call(
            "Emulation.setDeviceMetricsOverride",
            &json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}),
        );
        let scheme = format!("{scheme:?}").to_lowercase();
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        tab.call("Emulation.setEmulatedMedia", &features);
        tab.call(
            "Emulation.setScriptExecutionDisabled",
            &json!({"value": !javascript}),
        );
        tab
    }

    fn send(&mut self, session: Option<&str>, method: &str, params: &Value) -> u64 {
        self.next += 1;
        let mut message = json!({"id": self.next, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        // if it is gone, the missing answer tells
        self.commands.write_all(&bytes).ok();
        self.next
    }

    fn call(&mut self, session: Option<&str>, method: &str, params: &Value) -> Value {
        let id = self.send(session, method, params);
        loop {
            let mut message = self.message(method);
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    fn message(&self, waiting_for: &str) -> Value {
        match self.messages.recv_timeout(PATIENCE) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => panic!("no answer to {waiting_for} within {PATIENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => {
                panic!("Chromium ended while {waiting_for} was waited for")
            }
        }
    }
}

/// One page.
pub(crate) struct Tab<'a> {
    session: String,
    chromium: &'a mut Chromium,
}

impl Tab<'_> {
    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.chromium.call(Some(&self.session), method, params)
    }

    /// Opens the page and waits until all of it is there.
    pub(crate) fn visit(&mut self, url: &str) {
        let found = self.call("Page.navigate", &json!({"url": url}));
        assert!(found["errorText"].is_null(), "{url}: {found}");
        let loaded =
            |event: &Value| event["method"] == "Page.loadEventFired" && event["sessionId"] == *self.session;
        // one of `about:blank` may have come before
        while !self.chromium.events.iter().any(loaded) {
            let message = self.chromium.message("the page");
            self.chromium.events.push(message);
        }
        self.until_in(
            "document.readyState === 'complete' && location.href !== 'about:blank'",
            PATIENCE,
        );
    }

    /// The value of an expression.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", &params);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until the expression is true.
    pub(crate) fn until(&mut self, expression: &str) {
        self.until_in(expression, Duration::from_secs(30));
    }

    fn until_in(&mut self, expression: &str, patience: Duration) {
        let begun = Instant::now();
        while self.eval(expression) != true {
            assert!(begun.elapsed() < patience, "did not become true: {expression}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The whole page as PNG.
    pub(crate) fn picture(&mut self) -> Vec<u8> {
        let size = self.call("Page.getLayoutMetrics", &json!({}))["cssContentSize"].clone();
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        let params =
            json!({"format": "png", "captureBeyondViewport": true, "optimizeForSpeed": false, "clip": clip});
        let answer = self.call("Page.captureScreenshot", &params);
        STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
    }

    /// What the page's console and the browser complained about: errors, warnings, exceptions, violated policies.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        // all that was said before this answer has arrived with it
        self.eval("0");
        let complaint = |event: &Value| {
            let params = &event["params"];
            let is = match event["method"].as_str()? {
                "Runtime.consoleAPICalled" => {
                    matches!(params["type"].as_str(), Some("error" | "warning" | "assert"))
                }
                "Log.entryAdded" => matches!(params["entry"]["level"].as_str(), Some("error" | "warning")),
                "Runtime.exceptionThrown" | "Network.loadingFailed" => true,
                _ => false,
            };
            is.then(|| event.to_string())
        };
        let mine = |event: &&Value| event["sessionId"] == *self.session;
        self.chromium
            .events
            .iter()
            .filter(mine)
            .filter_map(complaint)
            .collect()
    }
}
