//! HTTP/1.1 as bytes: reading one request after the other, writing what a plan says.
//!
//! A framework would hide what matters here: the head as it was sent, and every byte of an answer.
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value as Json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::serve::line::Line;
use crate::vocabulary::head::{BODY_LIMIT, Head, invalid};
use crate::world::tls::Tls;

const HEAD_LIMIT: usize = 64 << 10;

/// A connection, plain or under TLS.
pub(crate) enum Stream {
    Plain(Line),
    Tls(Box<TlsStream<Line>>),
    /// It ended in a TLS handshake.
    Gone,
}

impl Stream {
    pub(crate) fn line(&self) -> Option<&Line> {
        match self {
            Self::Plain(line) => Some(line),
            Self::Tls(tls) => Some(tls.get_ref().0),
            Self::Gone => None,
        }
    }

    /// The server's side of a TLS handshake, and the facts of it.
    pub(crate) async fn secure(&mut self, tls: &Tls, certificate: &str) -> io::Result<Json> {
        let Self::Plain(line) = std::mem::replace(self, Self::Gone) else {
            return Err(gone());
        };
        let (stream, facts) = tls.accept(line, certificate).await?;
        *self = Self::Tls(Box::new(stream));
        Ok(facts)
    }
}

fn gone() -> io::Error {
    io::Error::new(ErrorKind::NotConnected, "the connection is gone")
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(line) => Pin::new(line).poll_read(context, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(line) => Pin::new(line).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(line) => Pin::new(line).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls).poll_flush(context),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(line) => Pin::new(line).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(context),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }
}

/// A connection with what was read of it and not used yet.
pub(crate) struct Wire {
    pub(crate) stream: Stream,
    pub(crate) buffer: BytesMut,
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
        }
    }

    /// The next request's head; none when the peer closed between two requests.
    pub(crate) async fn read_head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(head) = Head::parse(&self.buffer)? {
                self.buffer.advance(head.size);
                return Ok(Some(head));
            }
            if self.buffer.len() > HEAD_LIMIT {
                return Err(invalid("the head is over 64 KiB"));
            }
            if self.fill().await? == 0 {
                let clean = self.buffer.is_empty();
                return if clean {
                    Ok(None)
                } else {
                    Err(cut("in a request's head"))
                };
            }
        }
    }

    /// The body that belongs to a head, still as it was coded.
    pub(crate) async fn read_body(&mut self, head: &Head) -> io::Result<Bytes> {
        if head
            .header("expect")
            .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
        {
            self.stream
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await?;
        }
        let chunked = head.header("transfer-encoding").is_some_and(|value| {
            value
                .rsplit(',')
                .next()
                .is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"))
        });
        if chunked {
            return self.read_chunks().await;
        }
        let length = head.header("content-length").unwrap_or("0").trim();
        let length = length
            .parse()
            .map_err(|_| invalid("Content-Length is no number"))?;
        self.read_exactly(length).await
    }

    async fn read_chunks(&mut self) -> io::Result<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let (skip, size) = loop {
                match httparse::parse_chunk_size(&self.buffer) {
                    Ok(httparse::Status::Complete(found)) => break found,
                    Ok(httparse::Status::Partial) => {}
                    Err(_) => return Err(invalid("no chunk size")),
                }
                if self.fill().await? == 0 {
                    return Err(cut("in a chunk size"));
                }
            };
            self.buffer.advance(skip);
            let size = usize::try_from(size).map_err(|_| invalid("a huge chunk"))?;
            if size == 0 {
                self.read_trailers().await?;
                return Ok(body.freeze());
            }
            body.extend_from_slice(&self.read_exactly(size).await?);
            if body.len() > BODY_LIMIT || &self.read_exactly(2).await?[..] != b"\r\n" {
                return Err(invalid("a chunk without its end, or too many"));
            }
        }
    }

    async fn read_trailers(&mut self) -> io::Result<()> {
        loop {
            let line = loop {
                if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                    break end;
                }
                if self.fill().await? == 0 {
                    return Err(cut("in the trailers"));
                }
            };
            self.buffer.advance(line + 2);
            if line == 0 {
                return Ok(());
            }
        }
    }

    async fn read_exactly(&mut self, size: usize) -> io::Result<Bytes> {
        if size > BODY_LIMIT {
            return Err(invalid("the body is over 512 MiB"));
        }
        self.buffer.reserve(size.saturating_sub(self.buffer.len()));
        while self.buffer.len() < size {
            if self.fill().await? == 0 {
                return Err(cut("in a request's body"));
            }
        }
        Ok(self.buffer.split_to(size).freeze())
    }

    /// Reads what has come; 0 at the end.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(4096);
        self.stream.read_buf(&mut self.buffer).await
    }

    /// Returns when the peer has closed; what it sends meanwhile is kept.
    pub(crate) async fn peer_gone(&mut self) -> io::Error {
        loop {
            match self.fill().await {
                Ok(0) => return cut("while it waited for the answer"),
                Ok(_) if self.buffer.len() > BODY_LIMIT => return invalid("a flood"),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    }
}

pub(crate) fn cut(place: &str) -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, format!("closed {place}"))
}
