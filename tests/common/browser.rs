//! A browser that visits the portal: it keeps cookies, sends the headers that browsers send, and
//! follows no redirect by itself.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, RwLock},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use raccord::web::{self, api::state::ApiState, edge::state::AppState};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower::ServiceExt;

use super::page::Page;

/// Where clients find an instance of the portal. A restart puts another instance in its place.
#[derive(Clone)]
pub struct Server {
    instance: Arc<RwLock<Instance>>,
    pub public_url: String,
}

#[derive(Clone)]
struct Instance {
    router: Router,
    /// `None` where the instance is another process.
    api: Option<ApiState>,
}

impl Server {
    /// An instance without an API.
    pub fn new(router: Router, public_url: String) -> Self {
        Self { instance: Arc::new(RwLock::new(Instance { router, api: None })), public_url }
    }

    /// An instance in this process.
    pub fn local(state: AppState) -> Self {
        let (public_url, api) = (state.settings.public_url.clone(), ApiState::new(state.clone()));
        let instance = Instance { router: web::router(state, api.clone()), api: Some(api) };
        Self { instance: Arc::new(RwLock::new(instance)), public_url }
    }

    /// A process that listens at `address`, which is also its public URL.
    pub fn remote(address: SocketAddr) -> Self {
        let forward = move |request| async move { pass_on(address, request).await.unwrap_or_else(|_| lost()) };
        Self::new(Router::new().fallback(forward), format!("http://{address}"))
    }

    /// The same instance, which visitors know by another URL.
    pub fn known_as(self, public_url: &str) -> Self {
        Self { public_url: public_url.into(), ..self }
    }

    /// Puts another instance in this one's place, for all who visit it.
    pub fn replace_by(&self, other: &Self) {
        *self.instance.write().expect("no panic under the lock") = other.instance();
    }

    /// What the API's handlers of an instance in this process share.
    pub fn api(&self) -> ApiState {
        self.instance().api.expect("an instance in this process")
    }

    /// Answers a request that comes from `address`.
    pub async fn answer(&self, mut request: Request<Body>, address: IpAddr) -> Answer {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(address, 40_000)));
        let answer = self.instance().router.oneshot(request).await.expect("the router is infallible");
        let (head, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a whole body").to_vec();
        Answer { status: head.status, headers: head.headers, body }
    }

    fn instance(&self) -> Instance {
        self.instance.read().expect("no panic under the lock").clone()
    }
}

/// The status of an answer that did not come, or not to its end.
pub const LOST: u16 = 599;

fn lost() -> Response {
    StatusCode::from_u16(LOST).expect("a status").into_response()
}

/// Sends a request over a new connection as HTTP/1.0: the answer ends where the connection does.
async fn pass_on(address: SocketAddr, request: Request<Body>) -> io::Result<Response> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(io::Error::other)?;
    let mut bytes =
        format!("{} {} HTTP/1.0\r\nhost: {address}\r\ncontent-length: {}\r\n", head.method, head.uri, body.len())
            .into_bytes();
    for (name, value) in &head.headers {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend([b"\r\n", body.as_ref()].concat());
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&bytes).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    read_answer(&answer).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn read_answer(bytes: &[u8]) -> Option<Response> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = (std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 4..]);
    let mut lines = head.split("\r\n");
    let mut answer = Response::builder().status(lines.next()?.split(' ').nth(1)?);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        answer = answer.header(name, value.trim());
    }
    let length = answer.headers_ref()?.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let is_whole = length.is_none_or(|length: usize| length == body.len());
    is_whole.then(|| answer.body(Body::from(body.to_vec())).ok())?
}

/// A person's browser. Its clones are tabs: they share cookies.
#[derive(Clone)]
pub struct Browser {
    server: Server,
    cookies: Arc<Mutex<BTreeMap<String, String>>>,
    address: IpAddr,
}

/// A request that a browser will send.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Call {
    /// What a browser sends when a person follows a link of one of our pages.
    pub fn get(path: &str) -> Self {
        let call = Self { method: Method::GET, path: path.into(), headers: HeaderMap::new(), body: Vec::new() };
        call.with("sec-fetch-site", "same-origin").with("sec-fetch-mode", "navigate").with("sec-fetch-dest", "document")
    }

    /// What a browser sends when a person submits a form of one of our pages.
    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        let call = Self { method: Method::POST, body: body.into(), ..Self::get(path) };
        call.with("content-type", "application/x-www-form-urlencoded")
    }

    pub fn post_form(path: &str, fields: &[(&str, &str)]) -> Self {
        Self::post(path, form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish())
    }

    pub fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    /// With this header, in place of the browser's own.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header's value");
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    pub fn without(mut self, name: &'static str) -> Self {
        self.headers.remove(name);
        self
    }

    /// As an old browser sends it, without `Sec-Fetch-*`.
    pub fn without_fetch_metadata(self) -> Self {
        self.without("sec-fetch-site").without("sec-fetch-mode").without("sec-fetch-dest")
    }
}

impl Browser {
    pub fn new(server: Server) -> Self {
        Self { server, cookies: Arc::default(), address: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)) }
    }

    /// The same browser with its cookies, at another instance.
    pub fn at(&self, server: &Server) -> Self {
        Self { server: server.clone(), ..self.clone() }
    }

    /// The same browser in another network.
    pub fn with_address(&self, address: &str) -> Self {
        Self { address: address.parse().expect("an address"), ..self.clone() }
    }

    pub fn cookies(&self) -> BTreeMap<String, String> {
        self.cookies.lock().expect("no panic under the lock").clone()
    }

    pub fn set_cookies(&self, cookies: BTreeMap<String, String>) {
        *self.cookies.lock().expect("no panic under the lock") = cookies;
    }

    /// Follows a link.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Call::get(path)).await
    }

    /// Follows a link to a page that must be there.
    #[track_caller]
    pub fn open(&self, path: &str) -> impl Future<Output = Page> + Send + 'static {
        let (browser, path) = (self.clone(), path.to_owned());
        let caller = std::panic::Location::caller();
        async move {
            let answer = browser.get(&path).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}, asked for at {caller}");
            answer.page()
        }
    }

    /// Types a URL, or opens a bookmark.
    pub async fn type_url(&self, path: &str) -> Answer {
        self.send(Call::get(path).with("sec-fetch-site", "none")).await
    }

    /// Posts these fields, as a form of ours would.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(Call::post_form(path, fields)).await
    }

    /// Submits the page's form that posts to `action`, with some fields filled in.
    pub async fn submit(&self, page: &Page, action: &str, typed: &[(&str, &str)]) -> Answer {
        let mut fields = page.form(action);
        for (name, value) in typed {
            fields.retain(|(known, _)| known != name);
            fields.push(((*name).to_owned(), (*value).to_owned()));
        }
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(action, &fields).await
    }

    pub async fn send(&self, call: Call) -> Answer {
        let is_post = call.method == Method::POST;
        let mut request = Request::builder().method(call.method).uri(call.path.as_str());
        let headers = request.headers_mut().unwrap_or_else(|| panic!("no URL: {}", call.path));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("Navigateur de test"));
        if is_post {
            let origin = HeaderValue::from_str(&self.server.public_url).expect("a URL");
            headers.insert(header::ORIGIN, origin);
        }
        let pairs: Vec<String> = self.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !pairs.is_empty() {
            headers.insert(header::COOKIE, HeaderValue::from_str(&pairs.join("; ")).expect("cookies"));
        }
        headers.extend(call.headers);
        let request = request.body(Body::from(call.body)).expect("a request");
        let answer = self.server.answer(request, self.address).await;
        self.keep_cookies(&answer.headers);
        answer
    }

    fn keep_cookies(&self, headers: &HeaderMap) {
        let mut cookies = self.cookies.lock().expect("no panic under the lock");
        for set in headers.get_all(header::SET_COOKIE) {
            let set = set.to_str().expect("a readable cookie");
            let (name, value) = set.split(';').next().and_then(|pair| pair.split_once('=')).expect("name=value");
            if set.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.into(), value.into());
            }
        }
    }
}

/// An answer with its whole body.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a readable header"))
    }

    pub fn body_text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a text in UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body_text()))
    }

    pub fn page(&self) -> Page {
        let kind = self.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/html"), "{} {kind:?} is no page", self.status);
        Page::new(self.body_text())
    }

    /// Where a 303 leads.
    #[track_caller]
    pub fn location(&self) -> String {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", String::from_utf8_lossy(&self.body));
        self.header("location").expect("a 303 has a Location").to_owned()
    }

    /// The page of a refusal.
    #[track_caller]
    pub fn refusal(&self, status: u16) -> Page {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self.page()
    }
}
