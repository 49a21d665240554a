//! An identity provider that is reached through a proxy for outgoing connections alone.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::json;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{
    binary::Directory,
    health::{assert_found, examine},
    smtp::{make_certificate, tls_config},
};
use crate::common::provider::private_file;

/// Nothing listens there but behind the proxy.
const ISSUER: &str = "https://localhost:9";

/// What the proxy does when it is asked for a tunnel.
#[derive(Clone)]
enum Proxy {
    /// Leads to the provider, whose TLS is this.
    Open(Arc<ServerConfig>),
    Refuse,
}

impl Proxy {
    /// Starts it: its URL, and the first line of each request.
    fn start(self) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                self.serve(stream, &kept);
            }
        });
        (url, asked)
    }

    fn serve(&self, mut stream: TcpStream, asked: &Mutex<Vec<String>>) {
        let head = head_of(&mut stream);
        asked.lock().expect("no panic under the lock").push(head.lines().next().unwrap_or_default().to_owned());
        let Self::Open(tls) = self else {
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").expect("it is written");
            return;
        };
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").expect("it is written");
        let tls = ServerConnection::new(tls.clone()).expect("TLS");
        provider(&mut StreamOwned::new(tls, stream));
    }
}

/// The head of a request: one byte at a time, since what follows belongs to the tunnel.
fn head_of(stream: &mut impl Read) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("text")
}

/// Answers one request about the provider.
fn provider(stream: &mut (impl Read + Write)) {
    let url = |path: &str| format!("{ISSUER}{path}");
    let answer = match head_of(stream).split(' ').nth(1) {
        Some("/jwks") => json!({ "keys": [] }),
        Some("/.well-known/openid-configuration") => json!({
            "issuer": ISSUER, "authorization_endpoint": url("/authorize"), "token_endpoint": url("/token"),
            "jwks_uri": url("/jwks"), "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }),
        // The certificate was not trusted, or another page was asked for.
        _ => return,
    };
    let body = answer.to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).expect("it is written");
    stream.flush().expect("it is sent");
}

#[test]
fn a_provider_is_reached_through_the_proxy_of_the_settings() {
    let directory = Directory::create();
    let (certificate, key) = make_certificate(directory.path(), "provider");
    let secret = private_file("proxied-secret", b"geheim");
    let data = directory.path().join("data");
    let base = [
        ("RACCORD_DATA_DIR", data.to_str().expect("text")),
        ("RACCORD_OIDC_ISSUER", ISSUER),
        ("RACCORD_OIDC_CLIENT_ID", "raccord"),
        ("RACCORD_OIDC_CLIENT_SECRET_FILE", secret.to_str().expect("text")),
        ("SSL_CERT_FILE", &certificate),
    ];
    let through = |proxy: &str| examine(&[&base[..], &[("RACCORD_OIDC_PROXY", proxy)]].concat()).1;
    assert_found(&examine(&base).1, "identity provider wrong", "does not answer");

    let (url, asked) = Proxy::Open(tls_config(&certificate, &key)).start();
    assert_found(&through(&url), "identity provider ok", ISSUER);
    assert_eq!(*asked.lock().expect("no panic"), ["CONNECT localhost:9 HTTP/1.1", "CONNECT localhost:9 HTTP/1.1"]);

    // The proxy cannot stand in the provider's place.
    let (other, other_key) = make_certificate(directory.path(), "other");
    let (url, _) = Proxy::Open(tls_config(&other, &other_key)).start();
    assert_found(&through(&url), "identity provider wrong", "certificate");

    let (url, _) = Proxy::Refuse.start();
    assert_found(&through(&url), "identity provider wrong", "the proxy for outgoing connections");
    let findings = through("http://someone:geheim@127.0.0.1:3128");
    assert_found(&findings, "settings wrong", "RACCORD_OIDC_PROXY");
    assert!(findings.iter().all(|(_, said)| !said.contains("geheim")), "{findings:#?}");
}
