//! nginx before an API: with Raccord's check, from the example in `deploy/gateways` as it stands,
//! and without a check.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use axum::{Router, routing::any};

use crate::{bare, load::free_address};

const PROGRAM: &str = "/usr/sbin/nginx";

/// A running nginx, with both ways.
pub struct Nginx {
    pub checking: SocketAddr,
    pub plain: SocketAddr,
    child: Child,
    directory: PathBuf,
}

impl Nginx {
    /// Starts it before an API that answers at once. `None` where it is not installed.
    pub async fn start(raccord: SocketAddr) -> Option<Self> {
        if !Path::new(PROGRAM).is_file() {
            println!("the way through nginx is left out: {PROGRAM} is not installed");
            return None;
        }
        let api = bare::serve(Router::new().fallback(any(|| async { "{}" }))).await;
        let (checking, plain) = (free_address(), free_address());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nginx");
        fs::create_dir_all(&directory).expect("a directory");
        let own = directory.display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {own}/{kind};\n"))
            .concat();
        let text = format!(
            "daemon off; worker_processes 1; pid {own}/nginx.pid; events {{ worker_connections 256; }}\n\
             http {{ access_log off; keepalive_requests 1000000;\n{temporary}{}{} }}\n",
            example(raccord, api, checking),
            without_check(api, plain),
        );
        let file = directory.join("nginx.conf");
        fs::write(&file, text).expect("a file");
        let child = Command::new(PROGRAM)
            .args(["-p".as_ref(), directory.as_os_str(), "-e".as_ref(), "stderr".as_ref(), "-c".as_ref()])
            .arg(&file)
            .spawn()
            .expect("nginx starts");
        wait_until_it_listens(plain);
        Some(Self { checking, plain, child, directory })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn example(raccord: SocketAddr, api: SocketAddr, own: SocketAddr) -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/gateways/nginx.conf");
    let text = fs::read_to_string(file).expect("the example");
    let addresses = [("127.0.0.1:8080", raccord), ("127.0.0.1:8090", own), ("127.0.0.1:9000", api)];
    addresses.iter().fold(text, |text, (from, to)| text.replace(from, &to.to_string()))
}

fn without_check(api: SocketAddr, own: SocketAddr) -> String {
    format!(
        "upstream plain {{ server {api}; keepalive 32; }}\n\
         server {{ listen {own}; location / {{ proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_pass http://plain/; }} }}"
    )
}

fn wait_until_it_listens(address: SocketAddr) {
    let start = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "nginx does not listen");
        thread::sleep(Duration::from_millis(50));
    }
}
