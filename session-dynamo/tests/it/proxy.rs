//! A stand-in for the service's front door: passes requests on to DynamoDB Local, counts them, and answers some of
//! them itself, as the service can and DynamoDB Local never does.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What is done with a request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Pass,
    /// Answered with an error of this status and code, and not passed on.
    Refuse(u16, &'static str),
    /// The same with further fields in the answer.
    RefuseWith(u16, &'static str, Value),
    /// Answered with this, and not passed on.
    Answer(Value),
    /// Passed on, and answered with this all the same.
    PassAndRefuse(u16, &'static str),
    /// Batches: nothing of it is done.
    LeaveAllOver,
    /// Not passed on; the connection is closed.
    CutBefore,
    /// Passed on; the connection is closed without an answer.
    CutAfter,
    /// Passed on; the answer breaks off in the middle.
    CutInside,
    /// Passed on; nothing is ever answered.
    Silence,
    /// Passed on after this time.
    Delay(Duration),
    /// The answer of something that is no DynamoDB.
    WebPage(u16),
}

/// A request that came by.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Such as `GetItem`.
    pub(crate) action: String,
    pub(crate) body: Value,
    pub(crate) authorization: String,
}

impl Request {
    pub(crate) fn tables(&self) -> Vec<String> {
        match (self.body["TableName"].as_str(), self.body["RequestItems"].as_object()) {
            (Some(table), _) => vec![table.to_owned()],
            (None, Some(batch)) => batch.keys().cloned().collect(),
            (None, None) => Vec::new(),
        }
    }
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    /// For the next requests of an action, in order.
    next: VecDeque<(String, Act)>,
    /// For all that are not in `next`.
    always: Vec<(String, Act)>,
    allowed: Option<Vec<(String, String)>>,
    date: Option<String>,
    connections: usize,
}

/// The proxy. It ends with the runtime of its test.
#[derive(Clone)]
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// Every action. Others are named as `GetItem`, or `GetItem table`.
pub(crate) const ANY: &str = "";

impl Proxy {
    /// Before the server at `upstream`, a `host:port`.
    pub(crate) async fn to(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let (state, upstream) = (Arc::clone(&proxy.state), upstream.to_owned());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                lock(&state).connections += 1;
                let (state, upstream) = (Arc::clone(&state), upstream.clone());
                // An error is how a connection ends.
                tokio::spawn(async move { serve(client, &upstream, &state).await });
            }
        });
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("dynamodb://{}?region=eu-west-1", self.address)
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// What is done with the next request of `action` that has no act yet.
    pub(crate) fn next(&self, action: &str, act: Act) {
        self.lock().next.push_back((action.to_owned(), act));
    }

    /// What is done with every request of `action` from now on.
    pub(crate) fn always(&self, action: &str, act: Act) {
        self.lock().always.push((action.to_owned(), act));
    }

    /// From now on everything is passed on, and nothing has been seen.
    pub(crate) fn reset(&self) {
        let connections = self.lock().connections;
        *self.lock() = State { connections, ..State::default() };
    }

    /// Refuses every action on a table that is not in the list, as a policy does.
    pub(crate) fn allow_only(&self, allowed: Vec<(String, String)>) {
        self.lock().allowed = Some(allowed);
    }

    /// Writes this date on every answer.
    pub(crate) fn say_date(&self, date: &str) {
        self.lock().date = Some(date.to_owned());
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    /// How often this action was asked for.
    pub(crate) fn count(&self, action: &str) -> usize {
        let asked = |request: &&Request| action == ANY || request.action == action;
        self.lock().requests.iter().filter(asked).count()
    }

    pub(crate) fn connections(&self) -> usize {
        self.lock().connections
    }

    /// The actions that `call` asks for, and what it answers.
    pub(crate) async fn trips<T>(&self, call: impl Future<Output = T>) -> (Vec<String>, T) {
        let before = self.count(ANY);
        let answer = call.await;
        let actions = self.requests().into_iter().skip(before).map(|it| it.action);
        (actions.collect(), answer)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap()
}

impl State {
    /// Notes the request, and says what is done with it.
    fn meet(&mut self, request: &Request) -> Act {
        self.requests.push(request.clone());
        let fits = |wanted: &str| match wanted.split_once(' ') {
            Some((action, table)) => action == request.action && request.tables() == [table],
            None => wanted == ANY || wanted == request.action,
        };
        if let Some(allowed) = &self.allowed {
            let may = |table: &String| {
                let wanted = (request.action.clone(), table.clone());
                allowed.contains(&wanted)
            };
            if !request.tables().iter().all(may) {
                return Act::Refuse(400, "AccessDeniedException");
            }
        }
        if let Some(at) = self.next.iter().position(|(action, _)| fits(action)) {
            return self.next.remove(at).unwrap().1;
        }
        let always = self.always.iter().rev().find(|(action, _)| fits(action));
        always.map_or(Act::Pass, |(_, act)| act.clone())
    }
}

/// Answers one request after the other.
async fn serve(client: TcpStream, upstream: &str, state: &Mutex<State>) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut client = BufReader::new(client);
    loop {
        let message = Message::read(&mut client).await?;
        let target = message.header("x-amz-target").unwrap_or_default();
        let request = Request {
            action: target.rsplit('.').next().unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&message.body).unwrap_or_default(),
            authorization: message.header("authorization").unwrap_or_default(),
        };
        let (act, date) = {
            let mut state = lock(state);
            (state.meet(&request), state.date.clone())
        };
        let reply = match act {
            Act::Pass => pass_on(&message, upstream).await?,
            Act::Delay(time) => {
                tokio::time::sleep(time).await;
                pass_on(&message, upstream).await?
            }
            Act::Refuse(status, code) => refusal(status, code, &json!({})),
            Act::RefuseWith(status, code, more) => refusal(status, code, &more),
            Act::Answer(body) => reply(200, &body),
            Act::PassAndRefuse(status, code) => {
                pass_on(&message, upstream).await?;
                refusal(status, code, &json!({}))
            }
            Act::LeaveAllOver => {
                let left = &request.body["RequestItems"];
                reply(200, &json!({ "UnprocessedKeys": left, "UnprocessedItems": left }))
            }
            Act::CutBefore => return Ok(()),
            Act::CutAfter => return pass_on(&message, upstream).await.map(drop),
            Act::CutInside => {
                let reply = pass_on(&message, upstream).await?.bytes(date.as_deref());
                return client.get_mut().write_all(&reply[..reply.len() - 1]).await;
            }
            Act::Silence => {
                pass_on(&message, upstream).await?;
                std::future::pending::<()>().await;
                return Ok(());
            }
            Act::WebPage(status) => Message {
                first: format!("HTTP/1.1 {status} x"),
                headers: vec![("Content-Type".to_owned(), "text/html".to_owned())],
                body: b"<html>canary</html>".to_vec(),
            },
        };
        client.get_mut().write_all(&reply.bytes(date.as_deref())).await?;
    }
}

fn refusal(status: u16, code: &str, more: &Value) -> Message {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    let mut body =
        json!({ "__type": kind, "message": "the text may say canary", "Message": "canary" });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    reply(status, &body)
}

fn reply(status: u16, body: &Value) -> Message {
    Message {
        first: format!("HTTP/1.1 {status} x"),
        headers: vec![
            ("Content-Type".to_owned(), "application/x-amz-json-1.0".to_owned()),
            ("x-amzn-RequestId".to_owned(), "REQUEST-1".to_owned()),
        ],
        body: serde_json::to_vec(body).unwrap(),
    }
}

/// A request or an answer.
struct Message {
    first: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    async fn read(from: &mut BufReader<TcpStream>) -> io::Result<Self> {
        let (head, mut length) = (head(from).await?, 0);
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().map_err(io::Error::other)?;
            } else {
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body).await?;
        Ok(Self { first, headers, body })
    }

    fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    }

    fn bytes(&self, date: Option<&str>) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if let Some(date) = date {
            let _ = write!(text, "Date: {date}\r\n");
        }
        let _ = write!(text, "Content-Length: {}\r\n\r\n", self.body.len());
        [text.as_bytes(), &self.body].concat()
    }
}

/// The first line and the headers, up to the empty line.
async fn head(from: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await?);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

/// What the server answers. One connection each, which ends with the answer.
async fn pass_on(request: &Message, upstream: &str) -> io::Result<Message> {
    let mut server = TcpStream::connect(upstream).await?;
    server.set_nodelay(true)?;
    // In the older protocol a long answer comes in one piece, up to the end of the connection.
    let first = request.first.replace("HTTP/1.1", "HTTP/1.0");
    let (headers, body) = (request.headers.clone(), request.body.clone());
    server.write_all(&Message { first, headers, body }.bytes(None)).await?;
    let mut server = BufReader::new(server);
    let mut reply = Message::read(&mut server).await?;
    server.read_to_end(&mut reply.body).await?;
    reply.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("connection"));
    Ok(reply)
}
