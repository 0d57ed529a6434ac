//! A request from end to end: axum with our layer on Redis, beside a bare handler that does the same with as many commands
//! of Redis.
//!
//! Operations are requests: `load` is one that reads the session, `update` one that reads, changes and writes it, and
//! `create with subject` a login.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::header::{COOKIE, HOST, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use conformance_tests::sample::unique_name;
use conformance_tests::servers::{RedisOptions, RedisServer};
use dashmap::DashMap;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use redis::aio::MultiplexedConnection;
use serde_json::{Map, Value};
use session_core::{BoxError, SessionId, Sessions};
use session_redis::RedisStore;
use session_tower::axum::Session;
use session_tower::{CookiePolicy, SessionLayer, Site};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::backend::{Arena, Backend, Batch, Contestant, Goal, Op, Server, Standing};
use crate::home::Home;
use crate::options::Settings;
use crate::redis::{TTL_MS, connect, remove, version};
use crate::report::Size;
use crate::sessions::Work;

const GOALS: &[Goal] =
    &[Goal { op: Op::Load, ratios: [0.90, 0.90] }, Goal { op: Op::Update, ratios: [0.75, 0.75] }];

const NAME: &str = "http";

pub(crate) struct Http;

#[async_trait]
impl Backend for Http {
    fn name(&self) -> &'static str {
        NAME
    }

    fn goals(&self) -> &'static [Goal] {
        GOALS
    }

    fn operations(&self) -> &'static [Op] {
        &[Op::Load, Op::Update]
    }

    fn tasks(&self) -> &'static [usize] {
        &[64]
    }

    fn scale_goal(&self) -> Option<f64> {
        None
    }

    fn has_scale(&self) -> bool {
        false
    }

    async fn open(&self, settings: &Settings) -> Result<Arena, BoxError> {
        let home = Home::open(settings, NAME, || RedisServer::start(RedisOptions::new()))?;
        let connection = connect(&home.url).await?;
        let home = home.of(version(&connection).await?);

        let prefixes = [unique_name(), unique_name()];
        let [bare, ours] = &prefixes;
        let values =
            Values { connection, prefix: bare.clone(), value: settings.payloads.raw.clone() };
        let store = RedisStore::builder().prefix(ours).connect(&home.url).await?;
        let sessions = Sessions::builder(Arc::new(store)).build()?;
        let site = Site::new(&sessions).cookie(CookiePolicy::insecure_development());
        let data = Arc::new(serde_json::from_slice(&settings.payloads.raw)?);

        let bare = Served::start("axum, bare handler", Standing::Raw, bare_app(values)).await?;
        let ours =
            Served::start("session-tower on session-redis", Standing::Ours, our_app(site, data))
                .await?;
        let server = Place { home, prefixes };
        Ok(Arena { contestants: vec![Box::new(bare), Box::new(ours)], server: Box::new(server) })
    }

    async fn sizes(&self, _settings: &Settings) -> Result<Vec<Size>, BoxError> {
        Ok(Vec::new())
    }
}

/// The Redis of both, and the prefixes on it.
struct Place {
    home: Home,
    prefixes: [String; 2],
}

#[async_trait]
impl Server for Place {
    fn home(&self) -> &Home {
        &self.home
    }

    async fn clean_up(&self) -> Result<(), BoxError> {
        remove(&connect(&self.home.url).await?, &self.prefixes).await
    }
}

/// What the bare handlers know.
#[derive(Clone)]
struct Values {
    connection: MultiplexedConnection,
    prefix: String,
    value: Bytes,
}

impl Values {
    fn key(&self, headers: &HeaderMap) -> Result<String, StatusCode> {
        let cookie = headers.get(COOKIE).and_then(|cookie| cookie.to_str().ok());
        let token = cookie.and_then(|cookie| cookie.strip_prefix("session="));
        Ok(format!("{}:{}", self.prefix, token.ok_or(StatusCode::UNAUTHORIZED)?))
    }

    async fn get(&mut self, key: &str) -> Result<Map<String, Value>, StatusCode> {
        let value = redis::cmd("GET").arg(key).query_async(&mut self.connection).await;
        let value: Vec<u8> = value.ok().flatten().ok_or(StatusCode::UNAUTHORIZED)?;
        serde_json::from_slice(&value).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    }

    async fn set(&mut self, key: &str, value: &[u8]) -> Result<(), StatusCode> {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(value).arg("PX").arg(TTL_MS);
        let done: redis::RedisResult<()> = set.query_async(&mut self.connection).await;
        done.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
    }
}

fn visits(data: &Map<String, Value>) -> u64 {
    data.get("visits").and_then(Value::as_u64).unwrap_or_default()
}

fn bare_app(values: Values) -> Router {
    async fn read(
        State(mut values): State<Values>,
        headers: HeaderMap,
    ) -> Result<String, StatusCode> {
        let key = values.key(&headers)?;
        Ok(visits(&values.get(&key).await?).to_string())
    }

    async fn change(
        State(mut values): State<Values>,
        headers: HeaderMap,
    ) -> Result<String, StatusCode> {
        let key = values.key(&headers)?;
        let mut data = values.get(&key).await?;
        let visits = visits(&data) + 1;
        data.insert("visits".into(), visits.into());
        values.set(&key, Value::Object(data).to_string().as_bytes()).await?;
        Ok(visits.to_string())
    }

    async fn log_in(
        State(mut values): State<Values>,
        name: String,
    ) -> Result<impl IntoResponse, StatusCode> {
        let (key, value) = (format!("{}:{name}", values.prefix), values.value.clone());
        values.set(&key, &value).await?;
        Ok([(SET_COOKIE, format!("session={name}; HttpOnly"))])
    }

    let app = Router::new().route("/", get(read).post(change)).route("/log-in", post(log_in));
    app.with_state(values)
}

fn our_app(site: Site, data: Arc<Map<String, Value>>) -> Router {
    type Result<T> = session_tower::axum::Result<T>;

    async fn read(session: Session) -> Result<String> {
        let visits: u64 = session.get("visits").await?.unwrap_or_default();
        Ok(visits.to_string())
    }

    async fn change(session: Session) -> Result<String> {
        session.alter("visits", |visits: Option<u64>| visits.unwrap_or_default() + 1).await?;
        read(session).await
    }

    async fn log_in(
        State(data): State<Arc<Map<String, Value>>>,
        session: Session,
        name: String,
    ) -> Result<()> {
        session.login(&name).await?;
        for (key, value) in &*data {
            session.insert(key, value).await?;
        }
        Ok(())
    }

    let app = Router::new().route("/", get(read).post(change)).route("/log-in", post(log_in));
    app.with_state(data).layer(SessionLayer::new(site))
}

/// An application that is served, and what its clients hold.
struct Served {
    name: String,
    standing: Standing,
    clients: Arc<Clients>,
    _server: JoinSet<std::io::Result<()>>,
}

/// Connections that nobody uses just now, and the cookies of all sessions.
struct Clients {
    address: SocketAddr,
    idle: Mutex<Vec<Connection>>,
    cookies: DashMap<SessionId, HeaderValue>,
}

type Connection = SendRequest<Full<Bytes>>;

impl Served {
    async fn start(name: &str, standing: Standing, app: Router) -> Result<Self, BoxError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, idle, cookies) = (listener.local_addr()?, Mutex::default(), DashMap::new());
        let mut server = JoinSet::new();
        // A failure costs speed, and nothing else.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        server.spawn(async { axum::serve(listener, app).await });
        let clients = Arc::new(Clients { address, idle, cookies });
        Ok(Self { name: name.into(), standing, clients, _server: server })
    }
}

impl Contestant for Served {
    fn name(&self) -> &str {
        &self.name
    }

    fn standing(&self) -> Standing {
        self.standing
    }

    fn prepare(&self, op: Op, works: &[Work]) -> Box<dyn Batch> {
        let ids: Vec<_> = works.iter().map(|work| work.session.id).collect();
        let all = ids.iter().map(|id| self.clients.request(op, id)).collect();
        let keeps = if op == Op::CreateWithSubject { ids } else { Vec::new() };
        Box::new(Requests { clients: Arc::clone(&self.clients), all, keeps })
    }
}

impl Clients {
    fn request(&self, op: Op, id: &SessionId) -> Request<Full<Bytes>> {
        let (method, path, body) = match op {
            Op::Load => (Method::GET, "/", String::new()),
            Op::CreateWithSubject => (Method::POST, "/log-in", id.to_string()),
            _ => (Method::POST, "/", String::new()),
        };
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from_static(path);
        request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
        if let Some(cookie) = self.cookies.get(id) {
            request.headers_mut().insert(COOKIE, cookie.clone());
        }
        request
    }

    async fn connection(&self) -> Result<Connection, BoxError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (requests, connection) = handshake(TokioIo::new(stream)).await?;
        // An error of it is told to whoever sends a request.
        tokio::spawn(connection);
        Ok(requests)
    }
}

/// What one client sends on its connection.
struct Requests {
    clients: Arc<Clients>,
    all: Vec<Request<Full<Bytes>>>,
    /// Whose cookies are new.
    keeps: Vec<SessionId>,
}

#[async_trait]
impl Batch for Requests {
    async fn run(&mut self) -> Result<(), BoxError> {
        let mut connection = self.clients.connection().await?;
        let mut keeps = self.keeps.iter();
        for request in self.all.drain(..) {
            connection.ready().await?;
            let response = connection.send_request(request).await?;
            if response.status() != StatusCode::OK {
                return Err(format!("a request is answered {}", response.status()).into());
            }
            if let Some(id) = keeps.next() {
                let cookie = response.headers().get(SET_COOKIE).ok_or("a login gives no cookie")?;
                let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
                self.clients.cookies.insert(*id, HeaderValue::from_str(pair)?);
            }
            black_box(response.into_body().collect().await?);
        }
        self.clients.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(())
    }
}
