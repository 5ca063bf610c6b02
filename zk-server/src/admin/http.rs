//! One connection: an HTTP/1 request and its response.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use zk_env::BoxStream;

use super::command::{self, Command};
use super::{Surface, prometheus};
use crate::net::Shell;

/// Bytes of a request's line and headers.
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;

/// Where metrics are, on every port.
const METRICS: &str = "/metrics";

const JSON: &str = "application/json";
const HTML: &str = "text/html;charset=utf-8";
const PLAIN: &str = "text/plain;charset=utf-8";
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers one request and closes the connection.
pub(super) async fn answer(stream: BoxStream, shell: Arc<Shell>, surface: Surface) {
    let service = service_fn(|request| {
        let shell = Arc::clone(&shell);
        async move { Ok::<_, Infallible>(respond(&request, &shell, surface).await) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        // Its clock is not ours.
        .auto_date_header(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "closing a connection of the admin server");
    }
}

async fn respond(
    request: &Request<Incoming>,
    shell: &Shell,
    surface: Surface,
) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refusal = response(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "GET alone\n");
        let allow = HeaderValue::from_static("GET, HEAD");
        refusal.headers_mut().insert(ALLOW, allow);
        return refusal;
    }
    // A server that is paused does nothing at all.
    shell.resumed().await;
    let path = request.uri().path();
    if path == METRICS {
        let text = prometheus::text(&shell.lock_for("showing metrics"), shell);
        return response(StatusCode::OK, PROMETHEUS_TEXT, text);
    }
    let url = shell.config.admin.command_url.as_str();
    match (surface, path.strip_prefix(url)) {
        (Surface::CommandsAndMetrics, Some("" | "/")) => response(StatusCode::OK, HTML, links(url)),
        (Surface::CommandsAndMetrics, Some(rest)) if rest.starts_with('/') => {
            let query = request.uri().query().unwrap_or_default();
            let json = command::run(&rest[1..], query, shell).await;
            response(StatusCode::OK, JSON, json)
        }
        (Surface::CommandsAndMetrics | Surface::Metrics, _) => {
            response(StatusCode::NOT_FOUND, PLAIN, "not found\n")
        }
    }
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A page that leads to every command.
fn links(url: &str) -> String {
    let mut page = String::new();
    for command in Command::ALL {
        let name = command.name();
        let _ = writeln!(page, "<a href=\"{url}/{name}\">{name}</a>\n<br/>");
    }
    page
}
