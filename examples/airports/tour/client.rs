//! [`Client`]: one HTTP connection to the service.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::answer::{Origin, PENDING, SERVER_TIMING, X_CACHE, X_CACHE_DEGRADED, X_CACHE_HITS};
use crate::entity::Airport;
use crate::failure::Failure;

/// One keep-alive connection: one request at a time. Dropping it closes the connection.
#[derive(Debug)]
pub(crate) struct Client {
    host: String,
    sender: SendRequest<Full<Bytes>>,
}

/// An answer, and how long it took.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// From the first byte sent to the last received.
    pub(crate) took: Duration,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(Failure::when("connect"))?;
        // Requests are small and sequential; without this, the wait to fill a packet would be
        // measured.
        stream.set_nodelay(true).map_err(Failure::when("connect"))?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(Failure::when("connect"))?;
        // Ends when the sender is dropped; its errors reach the sender.
        tokio::spawn(connection);
        Ok(Self {
            host: address.to_string(),
            sender,
        })
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Reply, Failure> {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    /// Asks for an airport through the cache, or with the cache bypassed.
    pub(crate) async fn airport(&mut self, icao: &str, bypass: bool) -> Result<Reply, Failure> {
        let headers: &[_] = if bypass {
            &[(header::CACHE_CONTROL, "no-cache")]
        } else {
            &[]
        };
        self.send(
            Method::GET,
            &format!("/airports/{icao}"),
            headers,
            Bytes::new(),
        )
        .await
    }

    /// Asks for many airports in one request.
    pub(crate) async fn airports(&mut self, icaos: &[String]) -> Result<Reply, Failure> {
        self.get(&format!("/airports?icao={}", icaos.join(",")))
            .await
    }

    /// Sends a `PUT` of a JSON value.
    pub(crate) async fn change(&mut self, icao: &str, change: &Value) -> Result<Reply, Failure> {
        let headers = &[(header::CONTENT_TYPE, "application/json")];
        let body = Bytes::from(change.to_string());
        self.send(Method::PUT, &format!("/airports/{icao}"), headers, body)
            .await
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(header::HeaderName, &str)],
        body: Bytes,
    ) -> Result<Reply, Failure> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(header::HOST, &self.host);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request
            .body(Full::new(body))
            .map_err(Failure::when("build a request"))?;
        let started = Instant::now();
        let sending = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let (head, body) = response.into_parts();
            Ok::<_, hyper::Error>((head, body.collect().await?.to_bytes()))
        };
        let (head, body) = sending.await.map_err(Failure::when("send a request"))?;
        Ok(Reply {
            status: head.status,
            headers: head.headers,
            body,
            took: started.elapsed(),
        })
    }
}

impl Reply {
    /// The value of `x-cache`; `None` on an error.
    pub(crate) fn origin(&self) -> Option<Origin> {
        self.headers.get(X_CACHE)?.to_str().ok()?.parse().ok()
    }

    /// Whether the service worked around a failure of its cache.
    pub(crate) fn is_degraded(&self) -> bool {
        self.headers.contains_key(X_CACHE_DEGRADED)
    }

    /// How many airports of a list the cache had.
    pub(crate) fn hits(&self) -> Option<usize> {
        self.headers.get(X_CACHE_HITS)?.to_str().ok()?.parse().ok()
    }

    /// Whether the answer says that other processes may not see the change yet.
    pub(crate) fn is_pending(&self) -> bool {
        let told = self.headers.get(X_CACHE_DEGRADED);
        told.and_then(|told| told.to_str().ok())
            .is_some_and(|told| told.split(", ").any(|word| word == PENDING))
    }

    /// How long the service's call of the cache took, without HTTP around it.
    pub(crate) fn lookup(&self) -> Option<Duration> {
        let text = self.headers.get(SERVER_TIMING)?.to_str().ok()?;
        let millis: f64 = text.strip_prefix("lookup;dur=")?.parse().ok()?;
        Duration::try_from_secs_f64(millis / 1e3).ok()
    }

    pub(crate) fn airport(&self) -> Option<Airport> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The airport's name; empty if there is none.
    pub(crate) fn name(&self) -> String {
        self.airport()
            .map(|airport| airport.name)
            .unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}
