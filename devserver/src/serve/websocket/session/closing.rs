//! The ways out of a session: the agent's Close, ours, and a breach of the framing.
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

use crate::reply::frames::close_of;
use crate::reply::step::Step;
use crate::serve::ending::Ending;
use crate::serve::websocket::session::{End, Session, action_of, rule_of};
use crate::vocabulary::action::On;
use crate::vocabulary::cut::How;
use crate::vocabulary::frame::{CloseSpec, Frame, Opcode, Then, close_code};

/// How long the agent may take to answer our Close, and to end the connection after both.
const GOODBYE: Duration = Duration::from_secs(5);

impl Session<'_> {
    /// The agent's Close: ours goes back if it was the first, then the connection ends.
    pub(super) async fn on_close(&mut self, payload: Bytes) -> End {
        let code = close_code(&payload).0;
        let fault = self.note("close", payload.clone(), false, Some(On::Close));
        let (action, rule) = (action_of(fault.as_ref()), rule_of(fault.as_ref()));
        self.mute |= action.mute;
        let text = code.map_or("a Close".into(), |code| format!("Close {code}"));
        if self.deadline.is_some() {
            return Some(self.part(format!("{text} in answer to ours")).await);
        }
        if let Some(span) = action.wait {
            tokio::time::sleep(span.0).await;
        }
        if action.silent || self.mute || action.deaf {
            let error = self.wire.peer_gone().await;
            return Some(Ending::agent(format!("{text} without ours: {error}")));
        }
        if let Some(close) = close_of(&action) {
            if let Some(ending) = self.close(&close, &rule).await {
                return Some(ending);
            }
        } else {
            self.note("close", payload.clone(), true, None);
            let frame = Frame::new(Opcode::CLOSE, payload).bytes();
            if let Some(ending) = self.write(vec![Step::Write(frame.into())], &rule).await {
                return Some(ending);
            }
        }
        Some(self.part(text).await)
    }

    /// Ends the connection as the one who does it first (RFC 6455, section 7.1.1), and sees the
    /// agent end it too.
    async fn part(&mut self, text: String) -> Ending {
        if self.after_close == Then::Stay {
            let error = self.wire.peer_gone().await;
            return Ending::agent(format!("{text}: {error}"));
        }
        let _ = timeout(GOODBYE, self.wire.stream.shutdown()).await;
        match timeout(GOODBYE, self.wire.peer_gone()).await {
            Ok(_) => Ending::agent(text),
            Err(_) => Ending::server(format!("{text}, and then the agent stayed")),
        }
    }

    /// Sends a Close frame of our own.
    pub(super) async fn close(&mut self, close: &CloseSpec, rule: &str) -> End {
        self.note("close", close.payload(), true, None);
        self.after_close = close.then;
        self.deadline = Some(match close.then {
            Then::Stay => Instant::now() + Duration::from_secs(86_400),
            _ => Instant::now() + GOODBYE,
        });
        let frame = Frame::new(Opcode::CLOSE, close.payload()).bytes();
        let mut steps = vec![Step::Write(frame.into())];
        match close.then {
            Then::Close => steps.push(Step::End(How::Close)),
            Then::Reset => steps.push(Step::End(How::Reset)),
            Then::Wait | Then::Stay => {}
        }
        self.write(steps, rule).await
    }

    /// The agent broke RFC 6455.
    pub(super) async fn breach(&mut self, text: &str) -> End {
        let (info, text) = (self.info, text.to_owned());
        let why = text.clone();
        self.server
            .change(|state, now| state.on_breach(now, info, text));
        self.partial = None;
        let mut close = CloseSpec::of(1002, &why);
        close.then = Then::Close;
        self.close(&close, "").await;
        Some(Ending::server(why))
    }
}
