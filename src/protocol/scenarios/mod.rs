//! Scenarios that read as the specification: one agent, one peer played by the test, and a clock
//! that only moves when told.
mod answers;
mod failures;
mod lives;
mod offers;
mod state;
mod websocket;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message as _;

use super::*;
use crate::proto::{
    self, AgentCapabilities as Agent, AgentToServer, ServerErrorResponseType, ServerToAgent,
};

const UID: Uid = [7; 16];
const OTHER_UID: Uid = [8; 16];

/// All that this release can declare.
const CAPABILITIES: u64 = Agent::ReportsStatus as u64
    | Agent::ReportsHeartbeat as u64
    | Agent::AcceptsRemoteConfig as u64
    | Agent::ReportsRemoteConfig as u64
    | Agent::ReportsEffectiveConfig as u64;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The agent, and what it has done since the test last looked.
struct Scene {
    core: Core,
    now: Time,
    wait: Option<Deadline>,
    /// Each with the time at which it was sent.
    sent: Vec<(Time, AgentToServer)>,
    events: Vec<Event>,
    connects: Vec<Time>,
    closes: Vec<Option<u16>>,
    /// The try of the last `Send` or `Connect`.
    id: AttemptId,
    marker: Option<u64>,
    is_answered: bool,
}

impl Scene {
    fn with(config: Config, carry: PersistentState) -> Self {
        let now = Time::from_micros(1_000_000_000_000);
        Self {
            core: Core::new(config, carry, now, 1),
            now,
            wait: None,
            sent: Vec::new(),
            events: Vec::new(),
            connects: Vec::new(),
            closes: Vec::new(),
            id: AttemptId(0),
            marker: None,
            is_answered: true,
        }
    }

    fn of(policy: Policy) -> Self {
        let mut scene = Self::with(Config::new(policy), PersistentState::new(UID));
        scene.host(Change::Capabilities(CAPABILITIES));
        scene.host(Change::Description(description("gateway")));
        scene
    }

    /// An HTTP agent whose first report was answered.
    fn http() -> Self {
        let mut scene = Self::of(Policy::Http);
        scene.input(Input::Start);
        scene.answer(ServerToAgent::default());
        scene.forget();
        scene
    }

    /// A WebSocket agent whose first report was written, ponged and answered.
    fn websocket() -> Self {
        let mut scene = Self::of(Policy::WebSocket);
        scene.input(Input::Start);
        scene.fact(Fact::Opened);
        scene.confirm();
        scene.forget();
        scene
    }

    fn forget(&mut self) {
        self.sent.clear();
        self.events.clear();
        self.connects.clear();
        self.closes.clear();
    }

    fn input(&mut self, input: Input) {
        self.core.handle(self.now, input);
        let mut out = Vec::new();
        for _ in 0..100 {
            match self.core.poll(&mut out) {
                Action::Connect { id } => {
                    self.id = id;
                    self.connects.push(self.now);
                }
                Action::Send { id, marker } => {
                    self.id = id;
                    self.marker = marker;
                    self.is_answered = false;
                    let message = AgentToServer::decode(&out[..]).expect("own message");
                    self.sent.push((self.now, message));
                }
                Action::Close { code, .. } => self.closes.push(code),
                Action::Tell { event, .. } => self.events.push(event),
                Action::Wait(wait) => {
                    self.wait = wait;
                    return;
                }
            }
        }
        panic!("an input without an end: {:?}", self.events);
    }

    fn host(&mut self, change: Change) {
        self.input(Input::Host(change));
    }

    fn fact(&mut self, fact: Fact) {
        self.is_answered |= matches!(fact, Fact::Message(_) | Fact::Over(_));
        self.input(Input::Link { id: self.id, fact });
    }

    fn answer(&mut self, message: ServerToAgent) {
        self.fact(Fact::Message(message.encode_to_vec().into()));
    }

    fn fail(&mut self, kind: FailKind, reached: ReachedServer) {
        self.fact(Fact::Over(Failure::new(kind, reached, "test")));
    }

    fn status(&mut self, status: u16, retry_after: Option<Duration>) {
        let failure = Failure {
            retry_after,
            ..Failure::of_status(status, "test")
        };
        self.fact(Fact::Over(failure));
    }

    /// WebSocket: the last message is written, read and answered.
    fn confirm(&mut self) {
        self.fact(Fact::Written);
        if let Some(marker) = self.marker {
            self.fact(Fact::Pong { marker });
        }
        self.answer(ServerToAgent::default());
    }

    /// Lets time go by, with each deadline on the way.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(wait) = self.wait.filter(|wait| wait.at <= end) {
            self.now = wait.at;
            self.input(Input::Deadline);
        }
        self.now = end;
        self.input(Input::Deadline);
    }

    /// As `pass`, with every message answered by this one.
    fn pass_answering(&mut self, time: Duration, answer: &ServerToAgent) {
        let end = self.now + time;
        loop {
            while !self.is_answered {
                self.now = self.now + millis(1);
                self.answer(answer.clone());
            }
            let Some(wait) = self.wait.filter(|wait| wait.at <= end) else {
                break;
            };
            self.now = self.now.max(wait.at);
            self.input(Input::Deadline);
        }
        self.now = end;
    }

    /// A freeze: the clock jumps, no deadline is met on the way.
    fn freeze(&mut self, time: Duration) {
        self.now = self.now + time;
        self.input(Input::Deadline);
    }

    fn last(&self) -> &AgentToServer {
        &self.sent.last().expect("a message was sent").1
    }

    fn wait_why(&self) -> Timer {
        self.wait.expect("a deadline").why
    }

    fn wait_for(&self) -> Duration {
        self.wait.expect("a deadline").at.since(self.now)
    }

    fn offers(&self) -> Vec<&RemoteConfig> {
        let mut offers = Vec::new();
        for event in &self.events {
            if let Event::Message(Message {
                remote_config: Some(offer),
                ..
            }) = event
            {
                offers.push(offer);
            }
        }
        offers
    }

    fn warnings(&self) -> Vec<WarningKind> {
        let mut kinds = Vec::new();
        for event in &self.events {
            if let Event::Warning { kind, .. } = event {
                kinds.push(*kind);
            }
        }
        kinds
    }

    fn outcomes(&self) -> Vec<(u64, &Outcome)> {
        let mut outcomes = Vec::new();
        for event in &self.events {
            if let Event::SendDone { ticket, outcome } = event {
                outcomes.push((*ticket, outcome));
            }
        }
        outcomes
    }

    fn connect_failures(&self) -> usize {
        self.events
            .iter()
            .filter(|event| matches!(event, Event::ConnectFailed { .. }))
            .count()
    }
}

fn description(name: &str) -> Arc<proto::AgentDescription> {
    let value = proto::any_value::Value::StringValue(name.into());
    let attribute = proto::KeyValue {
        key: "service.name".into(),
        value: Some(proto::AnyValue { value: Some(value) }),
    };
    Arc::new(proto::AgentDescription {
        identifying_attributes: vec![attribute],
        ..Default::default()
    })
}

fn config_map(body: &str) -> proto::AgentConfigMap {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let file = proto::AgentConfigFile {
        body,
        content_type: "text/yaml".into(),
    };
    proto::AgentConfigMap {
        config_map: [("main.yaml".into(), file)].into(),
    }
}

fn offer(hash: &'static str, body: &str) -> ServerToAgent {
    let config = proto::AgentRemoteConfig {
        config: Some(config_map(body)),
        config_hash: Bytes::from_static(hash.as_bytes()),
    };
    ServerToAgent {
        remote_config: Some(config),
        ..Default::default()
    }
}

fn verdict(hash: &str, state: ConfigState, error: &str) -> Change {
    let status = RemoteConfigStatus::new(hash.as_bytes(), state, error.into());
    Change::RemoteConfigStatus(status.expect("a legal status"))
}

fn error(kind: ServerErrorResponseType, retry_after: Option<Duration>) -> ServerToAgent {
    let details = retry_after.map(|wait| {
        proto::server_error_response::Details::RetryInfo(proto::RetryInfo {
            retry_after_nanoseconds: wait.as_nanos() as u64,
        })
    });
    let error = proto::ServerErrorResponse {
        r#type: kind.into(),
        error_message: "no".into(),
        details,
    };
    ServerToAgent {
        error_response: Some(error),
        ..Default::default()
    }
}

const fn full_state() -> u64 {
    proto::ServerToAgentFlags::ReportFullState as u64
}

fn asks_full_state() -> ServerToAgent {
    ServerToAgent {
        flags: full_state(),
        ..Default::default()
    }
}

fn interval(seconds: u64, endpoint: &str) -> ServerToAgent {
    let opamp = proto::OpAmpConnectionSettings {
        heartbeat_interval_seconds: seconds,
        destination_endpoint: endpoint.into(),
        ..Default::default()
    };
    let offers = proto::ConnectionSettingsOffers {
        opamp: Some(opamp),
        ..Default::default()
    };
    ServerToAgent {
        connection_settings: Some(offers),
        ..Default::default()
    }
}
