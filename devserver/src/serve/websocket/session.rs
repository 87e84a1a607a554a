//! A WebSocket connection from the answered upgrade to its end.
mod closing;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

use crate::judge::websocket::judge_close;
use crate::reply::compose::{Content, Reply, bad_request, parts_of};
use crate::reply::frames::{Framed, close_of, message, pong};
use crate::reply::step::Step;
use crate::serve::ending::Ending;
use crate::serve::http::{Wire, cut};
use crate::serve::steps::take_all;
use crate::vocabulary::action::{Action, Close, On};
use crate::vocabulary::cut::How;
use crate::vocabulary::frame::{CloseSpec, Frame, Opcode, Then, close_code};
use crate::vocabulary::head::BODY_LIMIT;
use crate::world::faults::{Fault, Occasion};
use crate::world::server::Server;
use crate::world::socket::Order;
use crate::world::timeline::{ControlFrame, LinkInfo, Sent, Way, What};

/// How long the answer waits for a ping behind the message, so that the pong comes first: until it
/// is known whether this agent sends any, and once it is known that it does.
const FIRST_PING: Duration = Duration::from_millis(50);
const NEXT_PING: Duration = Duration::from_millis(500);

pub(crate) struct Session<'a> {
    server: &'a Arc<Server>,
    info: LinkInfo,
    wire: &'a mut Wire,
    orders: UnboundedReceiver<Order>,
    /// A message whose last fragment is not here yet.
    partial: Option<Partial>,
    /// What came while something else was in work.
    replies: VecDeque<Reply>,
    /// Whether a ping follows a message with news, once that is known.
    marks: Option<bool>,
    pings: u64,
    /// Our Close has left; by then the agent's must have come.
    deadline: Option<Instant>,
    after_close: Then,
    mute: bool,
    deaf: bool,
    /// The Close frame that follows the upgrade at once.
    early_close: Option<CloseSpec>,
}

struct Partial {
    is_text: bool,
    payload: BytesMut,
    sizes: Vec<usize>,
}

/// The end, once something brought it.
type End = Option<Ending>;

impl<'a> Session<'a> {
    pub(crate) fn new(
        server: &'a Arc<Server>,
        info: LinkInfo,
        wire: &'a mut Wire,
        orders: UnboundedReceiver<Order>,
        upgrade: &Action,
    ) -> Self {
        Self {
            server,
            info,
            wire,
            orders,
            partial: None,
            replies: VecDeque::new(),
            marks: None,
            pings: 0,
            deadline: None,
            after_close: Then::Wait,
            mute: upgrade.mute,
            deaf: upgrade.deaf,
            early_close: close_of(upgrade),
        }
    }

    /// Serves the connection; `rule` is the one that met the upgrade.
    pub(crate) async fn run(mut self, rule: &str) -> Ending {
        let early = match self.early_close.take() {
            Some(close) => self.close(&close, rule).await,
            None => None,
        };
        if let Some(ending) = early {
            return ending;
        }
        loop {
            let end = match self.replies.pop_front() {
                Some(reply) => self.answer(reply).await,
                None => self.next().await,
            };
            if let Some(ending) = end {
                return ending;
            }
        }
    }

    /// Waits for what comes next from either side.
    async fn next(&mut self) -> End {
        let deadline = self.deadline;
        let late = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            frame = next_frame(self.wire), if !self.deaf => self.on_frame(frame).await,
            Some(order) = self.orders.recv() => self.on_order(order).await,
            () = late => Some(Ending::server("no Close came in answer to ours").lossy()),
        }
    }

    /// Takes frames in until the time comes, or a ping with `until_ping`.
    async fn pump(&mut self, until: Instant, until_ping: bool) -> End {
        let pings = self.pings;
        while !until_ping || self.pings == pings {
            tokio::select! {
                biased;
                frame = next_frame(self.wire), if !self.deaf => {
                    if let Some(ending) = Box::pin(self.on_frame(frame)).await {
                        return Some(ending);
                    }
                }
                () = sleep_until(until) => return None,
            }
        }
        None
    }

    async fn on_frame(&mut self, frame: std::io::Result<Frame>) -> End {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return self.breach(&error.to_string()).await;
            }
            Err(error) => return Some(Ending::of(&error).lossy()),
        };
        if let Some(breach) = frame.breach() {
            return self.breach(breach).await;
        }
        match frame.opcode {
            Opcode::PING => self.on_ping(frame.payload).await,
            Opcode::PONG => {
                self.note("pong", frame.payload, false, None);
                None
            }
            Opcode::CLOSE => self.on_close(frame.payload).await,
            _ => self.on_data(frame).await,
        }
    }

    async fn on_data(&mut self, frame: Frame) -> End {
        match self.take_data(frame) {
            Ok(()) => None,
            Err(text) => self.breach(text).await,
        }
    }

    fn take_data(&mut self, frame: Frame) -> Result<(), &'static str> {
        let is_start = frame.opcode != Opcode::CONTINUATION;
        if is_start == self.partial.is_some() {
            return Err("a fragment that does not follow its message");
        }
        let size = frame.payload.len();
        let partial = self.partial.get_or_insert_with(|| Partial {
            is_text: frame.opcode == Opcode::TEXT,
            payload: BytesMut::new(),
            sizes: Vec::new(),
        });
        partial.sizes.push(size);
        let is_whole = frame.is_final;
        let payload = if is_start && is_whole {
            frame.payload
        } else {
            partial.payload.extend_from_slice(&frame.payload);
            if partial.payload.len() > BODY_LIMIT {
                return Err("a message over 512 MiB");
            }
            if !is_whole {
                return Ok(());
            }
            partial.payload.split().freeze()
        };
        if let Some(Partial { is_text, sizes, .. }) = self.partial.take() {
            let info = self.info;
            let reply = self
                .server
                .change(|state, now| state.on_socket_message(now, info, payload, sizes, is_text));
            self.replies.push_back(reply);
        }
        Ok(())
    }

    /// One message is answered, unless we are on the way out.
    async fn answer(&mut self, reply: Reply) -> End {
        let action = action_of(reply.fault.as_ref());
        if self.deadline.is_some() {
            return None;
        }
        self.mute |= action.mute;
        self.deaf |= action.deaf;
        if !action.answer_first && !self.deaf {
            if let Some(ending) = self.settle(reply.has_news).await {
                return Some(ending);
            }
        }
        if let Some(span) = action.wait {
            if let Some(ending) = self.pump(Instant::now() + span.0, false).await {
                return Some(ending);
            }
        }
        let good = match &reply.content {
            Content::Message(good) => good.clone(),
            Content::Refusal(_, text) => bad_request(text),
            Content::Upgrade(_) => Bytes::new(),
        };
        let framed = self
            .framed(move |action| message(good.clone(), action), action.clone())
            .await;
        let fault = reply
            .fault
            .as_ref()
            .map(|fault| (fault.rule.clone(), framed.did.clone()));
        let (sent, steps) = split(framed, Some(reply.index), fault);
        let info = self.info;
        self.server
            .change(|state, now| state.on_answer(now, info, &reply, sent, None));
        self.deliver(steps, &action, reply.rule()).await
    }

    /// Takes in what has come already, and the ping that belongs to the message.
    async fn settle(&mut self, has_news: bool) -> End {
        let patience = match self.marks {
            None if has_news => FIRST_PING,
            Some(true) if has_news => NEXT_PING,
            _ => Duration::ZERO,
        };
        let pings = self.pings;
        // What the kernel has got by now is seen only after a turn of the runtime.
        tokio::task::yield_now().await;
        let ending = self.pump(Instant::now() + patience, true).await;
        let came = self.pings > pings;
        if came || (has_news && self.marks.is_none()) {
            self.marks = Some(came);
        }
        ending
    }

    async fn on_order(&mut self, order: Order) -> End {
        match order {
            Order::Push(good, action) => {
                let made = action.clone();
                let framed = self
                    .framed(move |action| message(good.clone(), action), *made)
                    .await;
                let (sent, steps) = split(framed, None, None);
                let info = self.info;
                self.server
                    .change(|state, now| state.on_pushed(now, info, sent));
                self.deliver(steps, &action, "").await
            }
            Order::Ping(payload) => {
                self.note("ping", payload.clone(), true, None);
                let frame = Frame::new(Opcode::PING, payload).bytes();
                self.write(vec![Step::Write(frame.into())], "").await
            }
            Order::Close(close) => self.close(&close, "").await,
        }
    }

    async fn on_ping(&mut self, payload: Bytes) -> End {
        self.pings += 1;
        let fault = self.note("ping", payload.clone(), false, Some(On::Ping));
        let (action, rule) = (action_of(fault.as_ref()), rule_of(fault.as_ref()));
        if let Some(span) = action.wait {
            if let Some(ending) = self.pump(Instant::now() + span.0, false).await {
                return Some(ending);
            }
        }
        self.mute |= action.mute;
        self.deaf |= action.deaf;
        let framed = pong(payload.clone(), &action);
        if framed.sizes.is_some() && !self.mute {
            self.note("pong", payload, true, None);
        }
        self.deliver(framed.steps, &action, &rule).await
    }

    async fn deliver(&mut self, steps: Vec<Step>, action: &Action, rule: &str) -> End {
        if let Some(ending) = self.write(steps, rule).await {
            return Some(ending);
        }
        if let Some(close) = close_of(action) {
            return self.close(&close, rule).await;
        }
        match &action.close {
            Some(Close::Silent) => Some(Ending::answered(rule, How::Close)),
            Some(Close::Reset) => Some(Ending::answered(rule, How::Reset)),
            Some(Close::Vanish) => Some(Ending::answered(rule, How::Vanish)),
            _ => None,
        }
    }

    async fn write(&mut self, steps: Vec<Step>, rule: &str) -> End {
        if self.mute {
            return None;
        }
        match take_all(self.wire, steps).await {
            Err(error) => {
                self.look_back();
                Some(Ending::of(&error).lossy())
            }
            Ok(how) => how.map(|how| Ending::answered(rule, how)),
        }
    }

    /// Notes what the agent has said while we spoke, up to its end.
    fn look_back(&mut self) {
        while let Ok(Some(frame)) = Frame::take(&mut self.wire.buffer) {
            match frame.opcode {
                Opcode::PING => drop(self.note("ping", frame.payload, false, None)),
                Opcode::PONG => drop(self.note("pong", frame.payload, false, None)),
                Opcode::CLOSE => drop(self.note("close", frame.payload, false, None)),
                _ => drop(self.take_data(frame)),
            }
        }
    }

    /// Some bodies are long to make; others are served meanwhile.
    async fn framed(
        &self,
        make: impl Fn(&Action) -> Framed + Send + 'static,
        action: Action,
    ) -> Framed {
        let mut framed = if action.body.is_some() {
            let made = tokio::task::spawn_blocking(move || make(&action));
            made.await.expect("a plan does not panic")
        } else {
            make(&action)
        };
        if self.mute {
            framed.sizes = None;
            framed.message = None;
            framed.did = "kept mute".into();
        }
        framed
    }

    /// Notes a control frame; the rule that wants to act on it, if `on` says what it is.
    fn note(
        &mut self,
        kind: &'static str,
        payload: Bytes,
        is_sent: bool,
        on: Option<On>,
    ) -> Option<Fault> {
        let info = self.info;
        self.server.change(|state, now| {
            let agent = state.links.get(&info.number).and_then(|link| link.agent);
            let path = state
                .socket(info.number)
                .map_or(String::new(), |socket| socket.path.clone());
            let fault = on.and_then(|on| {
                let (path, transport) = (path.as_str(), info.transport);
                state.faults.choose(&Occasion {
                    on,
                    agent,
                    path,
                    transport,
                    parts: None,
                })
            });
            let mut verdicts = Vec::new();
            let mut began = None;
            if let Some(socket) = state.socket(info.number) {
                socket.is_excused |= fault.is_some();
                if kind == "close" {
                    if !is_sent {
                        verdicts = judge_close(socket, close_code(&payload).0);
                    }
                    let by = if is_sent { "server" } else { "agent" };
                    began = Some(*socket.began.get_or_insert(by));
                }
            }
            let did = fault
                .as_ref()
                .map(|fault| (fault.rule.clone(), format!("on this {kind}")));
            let frame = ControlFrame {
                kind,
                is_sent,
                payload,
                began,
                fault: did,
            };
            state.push(now, agent, Some(info), verdicts, What::Frame(frame));
            fault
        })
    }
}

/// The next frame; nothing is lost when this is given up before it is whole.
async fn next_frame(wire: &mut Wire) -> std::io::Result<Frame> {
    loop {
        if let Some(frame) = Frame::take(&mut wire.buffer)? {
            return Ok(frame);
        }
        if wire.fill().await? == 0 {
            return Err(cut("without a Close"));
        }
    }
}

fn split(
    framed: Framed,
    answers: Option<u64>,
    fault: Option<(String, String)>,
) -> (Sent, Vec<Step>) {
    let sent = Sent {
        answers,
        way: Way::Frames(framed.sizes),
        size: framed.size,
        parts: framed.message.as_ref().map(parts_of).unwrap_or_default(),
        message: framed.message,
        fault,
    };
    (sent, framed.steps)
}

fn action_of(fault: Option<&Fault>) -> Action {
    fault.map(|fault| fault.action.clone()).unwrap_or_default()
}

fn rule_of(fault: Option<&Fault>) -> String {
    fault.map_or(String::new(), |fault| fault.rule.clone())
}
