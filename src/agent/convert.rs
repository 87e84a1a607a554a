//! From the mailbox to the core, and from the core to the host.

use bytes::Bytes;

use super::{
    config_map::ConfigMap,
    error::{Code, Error, Kind, ServerError},
    event::{Content, EventKind, Message},
    mailbox::Mail,
    reason::Reason,
};
use crate::{
    proto::ServerErrorResponseType,
    protocol::{
        self, Change, Event, Fact, Failure, Input, Outcome, ReachedServer, ServerErrorKind,
        WarningKind,
    },
    transport::{self, websocket::News},
};

/// What the core takes in for the mail of the host, changes before the questions about them, and
/// the stop last.
pub(crate) fn inputs_of(mail: Mail) -> impl Iterator<Item = Input> {
    let changes = [
        // First: what the others send leaves with them.
        mail.headers.map(|_| Change::Headers),
        mail.capabilities.map(Change::Capabilities),
        mail.description.map(Change::Description),
        mail.effective_config
            .map(|config| Change::EffectiveConfig(config.proto().clone())),
        mail.verdict.map(Change::RemoteConfigStatus),
        mail.interval.map(Change::Interval),
        mail.request_uid.then_some(Change::RequestInstanceUid),
        mail.report_full_state.then_some(Change::ReportFullState),
        mail.reconnect.then_some(Change::Reconnect),
        mail.poll_now.then_some(Change::PollNow),
    ];
    let reports = mail.reports.into_iter().map(|report| Change::Report {
        ticket: report.ticket,
        tries: report.tries,
        force_message: report.is_forced,
    });
    let withdrawn = mail.withdrawn.into_iter().map(Change::WithdrawReport);
    let stop = mail.stop.map(|leave| Input::Stop {
        within: leave.within,
        goodbye: leave.goodbye,
    });
    changes
        .into_iter()
        .flatten()
        .chain(reports)
        .chain(withdrawn)
        .map(Input::Host)
        .chain(stop)
}

/// The event of the host for one of the core; completions and the end are the run's own.
pub(crate) fn event_kind(event: Event) -> Option<EventKind> {
    Some(match event {
        Event::Connected { .. } | Event::Answered => EventKind::Connected,
        Event::ConnectFailed { failure, retry_in } => EventKind::ConnectFailed(Error {
            retry_in,
            ..error_of(&failure)
        }),
        Event::ServerError {
            kind,
            text,
            retry_in,
            raw,
            ..
        } => {
            let (name, kind) = match kind {
                ServerErrorKind::Unknown => ("UNKNOWN", ServerErrorResponseType::Unknown),
                ServerErrorKind::BadRequest => ("BAD_REQUEST", ServerErrorResponseType::BadRequest),
                ServerErrorKind::Unavailable => {
                    ("UNAVAILABLE", ServerErrorResponseType::Unavailable)
                }
            };
            let error = Error::new(Code::Failed, Kind::Server, format!("{name}: {text}"));
            EventKind::ServerError {
                error: Error {
                    retry_in,
                    server: Some(ServerError {
                        kind: kind as i32,
                        message: text,
                    }),
                    ..error
                },
                message: Some(raw).filter(|raw| !raw.is_empty()).map(refusal_of),
            }
        }
        Event::Message(message) => EventKind::Message(message_of(message)),
        Event::NewUid(uid) => EventKind::NewUid(uid),
        Event::Warning { kind, text } => {
            EventKind::Warning(Error::new(Code::Failed, warning_kind(kind), text))
        }
        Event::SendDone { .. } | Event::Stopped => return None,
    })
}

/// A message whose error_response is all that counts.
fn refusal_of(raw: Bytes) -> Message {
    Message::new(Content {
        parts: 0,
        remote_config: None,
        flags: 0,
        server_capabilities: 0,
        bytes: raw,
    })
}

pub(crate) fn message_of(message: protocol::Message) -> Message {
    Message::new(Content {
        parts: message.parts.0.into(),
        remote_config: message
            .remote_config
            .map(|offer| (ConfigMap::new(offer.files), offer.hash)),
        flags: message.flags,
        server_capabilities: message.capabilities,
        bytes: message.raw,
    })
}

pub(crate) fn no_descriptor(why: &std::io::Error) -> Error {
    Error::new(Code::Resource, Kind::Io, format!("eventfd: {why}")).because(Reason::NoDescriptor)
}

pub(crate) fn timeout(text: &str) -> Error {
    Error::new(Code::Timeout, Kind::Timeout, text)
}

/// Why a report was not confirmed; `None`: it was.
pub(crate) fn error_of_outcome(outcome: Outcome) -> Option<Error> {
    match outcome {
        Outcome::Confirmed => None,
        Outcome::HeldBack => Some(
            Error::new(
                Code::State,
                Kind::Server,
                "a part of it is held back: the server refused it, or it is over the message limit",
            )
            .because(Reason::HeldBack),
        ),
        Outcome::GaveUp(failure) => Some(error_of(&failure)),
        Outcome::Stopped => {
            Some(Error::new(Code::State, Kind::None, "the agent stopped").because(Reason::Stopped))
        }
    }
}

pub(crate) fn error_of(failure: &Failure) -> Error {
    use protocol::FailKind as From;
    let kind = match failure.kind {
        From::Resolve => Kind::Resolve,
        From::Connect => Kind::Connect,
        From::Tls => Kind::Tls,
        From::Proxy => Kind::Proxy,
        From::Timeout => Kind::Timeout,
        From::Io => Kind::Io,
        From::Status => Kind::HttpStatus,
        From::Decode => Kind::Decode,
        From::Size => Kind::Size,
        From::Protocol => Kind::Protocol,
        From::Server => Kind::Server,
        From::Host => Kind::Host,
        From::Bug => Kind::Bug,
    };
    let code = match kind {
        Kind::Timeout => Code::Timeout,
        Kind::Size => Code::TooLarge,
        _ => Code::Failed,
    };
    Error {
        http_status: failure.status,
        ..Error::new(code, kind, failure.text.clone())
    }
}

/// What was seen of a WebSocket connection, in the core's terms, and the buffer that comes back.
pub(crate) fn fact_of(news: News) -> (Fact, Vec<u8>) {
    let fact = match news {
        News::Written(buffer) => return (Fact::Written, buffer),
        News::Pong(marker) => Fact::Pong { marker },
        News::Message(bytes) => Fact::Message(bytes),
        News::Skipped(why) => Fact::Skipped(why.into()),
        News::Broken { code, failure } => Fact::Broken {
            code,
            failure: failure_of(failure),
        },
        News::Thawed => Fact::Thawed,
        News::Over(failure) => Fact::Over(failure_of(failure)),
    };
    (fact, Vec::new())
}

/// The transport's word in the core's terms.
pub(crate) fn failure_of(failure: transport::Failure) -> Failure {
    use protocol::FailKind as To;
    use transport::FailKind as From;
    let kind = match failure.kind {
        From::Resolve => To::Resolve,
        From::Connect => To::Connect,
        From::Tls => To::Tls,
        From::Proxy => To::Proxy,
        From::Timeout | From::GivenUp => To::Timeout,
        From::Io => To::Io,
        From::Status => To::Status,
        From::Decode => To::Decode,
        From::Size => To::Size,
        From::Protocol => To::Protocol,
        From::Host => To::Host,
    };
    Failure {
        reached: match failure.reached {
            transport::ReachedServer::No => ReachedServer::No,
            transport::ReachedServer::Maybe => ReachedServer::Maybe,
        },
        reused: failure.reused,
        kind,
        status: failure.status,
        retry_after: failure.retry_after,
        text: failure.text,
    }
}

fn warning_kind(kind: WarningKind) -> Kind {
    match kind {
        WarningKind::BadMessage => Kind::Decode,
        WarningKind::RequestTooLarge
        | WarningKind::MessageTooLarge
        | WarningKind::OfferTooLarge => Kind::Size,
        WarningKind::ForeignUid | WarningKind::BadNewUid | WarningKind::ServerAsksTooOften => {
            Kind::Protocol
        }
        WarningKind::OfferUnanswered | WarningKind::ApplyingOverdue => Kind::Host,
    }
}
