//! What is true of the agent, where the server is, and how to get there. No thread, no socket.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::locks::Mutex;

use super::{
    capabilities, checks,
    config_map::ConfigMap,
    defaults,
    error::{Code, Error, Kind, Result},
    fork, identity,
    mailbox::{Mail, Mailbox},
    reason::Reason,
};
use crate::{
    proto::AgentDescription,
    protocol::{PersistentState, RemoteConfigStatus},
    transport::{
        Endpoint, Headers, Limits, Proxy, Scheme,
        tls::{Identity, Roots, TlsSettings},
    },
};

/// Shared by its handles and the agents made for it. Every method may be called from any thread and
/// callback.
#[derive(Debug)]
pub struct Client {
    process: fork::Token,
    state: Mutex<State>,
    /// Beside the state, which a start keeps locked while it reads files: a stop waits for none.
    stop_grace: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: Arc<Headers>,
    pub(crate) user_agent_prefix: Option<String>,
    pub(crate) is_host_transport: bool,
    pub(crate) tls: TlsSettings,
    /// The host's own proxy; without one the environment decides, where the host lets it.
    pub(crate) proxy: Option<Proxy>,
    pub(crate) proxy_headers: Headers,
    pub(crate) is_proxy_environment_used: bool,
    /// Other origins that a redirect may lead to.
    pub(crate) redirect_origins: Vec<Endpoint>,
    options: [u64; defaults::TABLE.len()],
    pub(crate) capabilities: u64,
    pub(crate) description: Option<Arc<AgentDescription>>,
    pub(crate) effective_config: Option<ConfigMap>,
    /// A verdict that was given while no agent ran.
    pub(crate) verdict: Option<RemoteConfigStatus>,
    /// What a restart goes on with.
    pub(crate) carry: PersistentState,
    /// The agent that runs on this client.
    running: Option<Running>,
}

/// What the setters need to know of the agent that runs.
#[derive(Debug)]
struct Running {
    mailbox: Arc<Mailbox>,
    /// Which capabilities its host can serve.
    served: u64,
}

impl Client {
    /// Checks the endpoint and draws an instance uid (UUID v7).
    pub fn new(endpoint: &str) -> Result<Arc<Self>> {
        let process = fork::process()?;
        let endpoint = checks::endpoint(endpoint)?;
        let state = State {
            endpoint,
            headers: Arc::default(),
            user_agent_prefix: None,
            is_host_transport: false,
            tls: TlsSettings::default(),
            proxy: None,
            proxy_headers: Headers::default(),
            is_proxy_environment_used: true,
            redirect_origins: Vec::new(),
            options: defaults::TABLE.map(|row| row.default),
            capabilities: capabilities::DEFAULT,
            description: None,
            effective_config: None,
            verdict: None,
            carry: PersistentState::new(identity::new_uid()?),
            running: None,
        };
        Ok(Arc::new(Self {
            process,
            stop_grace: AtomicU64::new(state.number(defaults::STOP_GRACE_MS)),
            state: Mutex::new(state),
        }))
    }

    /// The process that made it.
    pub fn process(&self) -> fork::Token {
        self.process
    }

    /// Not while an agent runs.
    pub fn set_endpoint(&self, endpoint: &str) -> Result<()> {
        let endpoint = checks::endpoint(endpoint)?;
        let mut state = self.settle()?;
        let others = (state.proxy.as_ref(), &*state.redirect_origins);
        checks::tls_fits(&state.tls, &endpoint, others)?;
        checks::transport_fits(&endpoint, state.is_host_transport)?;
        if state.endpoint != endpoint {
            // What was too large for the way to the last server may not be for this one.
            state.carry.too_large = Default::default();
        }
        state.endpoint = endpoint;
        Ok(())
    }

    /// 16 bytes, not all zero. Not while an agent runs.
    pub fn set_instance_uid(&self, uid: &[u8]) -> Result<()> {
        let uid = checks::uid(uid)?;
        self.settle()?.carry.instance_uid = uid;
        Ok(())
    }

    /// The uid in force: the host's, the library's, or the one that the server assigned last.
    pub fn instance_uid(&self) -> [u8; 16] {
        self.state.lock().carry.instance_uid
    }

    /// Asks the server for a uid until it assigned one; the present one is temporary. Can be taken
    /// back while no agent runs.
    pub fn request_instance_uid(&self, on: bool) -> Result<()> {
        let mut state = if on {
            self.state.lock()
        } else {
            self.settle()?
        };
        state.carry.request_instance_uid = on;
        state.put(|mail| mail.request_uid = true);
        Ok(())
    }

    /// Sets a header of every request from the next one on; without a value takes it away.
    pub fn set_header(&self, name: &str, value: Option<&str>) -> Result<()> {
        let mut state = self.state.lock();
        let mut headers = Headers::clone(&state.headers);
        checks::set_header(&mut headers, name, value)?;
        let headers = Arc::new(headers);
        state.headers = headers.clone();
        state.put(|mail| mail.headers = Some(headers));
        Ok(())
    }

    /// Stands before the library's own `User-Agent`. Not while an agent runs.
    pub fn set_user_agent_prefix(&self, prefix: Option<&str>) -> Result<()> {
        if let Some(prefix) = prefix {
            checks::user_agent_prefix(prefix)?;
        }
        self.settle()?.user_agent_prefix = prefix.map(str::to_owned);
        Ok(())
    }

    /// The way to the server leads through this proxy, whatever the environment says. Not while an
    /// agent runs.
    pub fn set_proxy(&self, url: Option<&str>) -> Result<()> {
        let proxy = url.map(checks::proxy).transpose()?;
        let mut state = self.settle()?;
        let others = (proxy.as_ref(), &*state.redirect_origins);
        checks::tls_fits(&state.tls, &state.endpoint, others)?;
        state.proxy = proxy;
        Ok(())
    }

    /// A header for http and https proxies alone; without a value takes it away. Not while an agent
    /// runs.
    pub fn set_proxy_header(&self, name: &str, value: Option<&str>) -> Result<()> {
        checks::set_header(&mut self.settle()?.proxy_headers, name, value)
    }

    /// A redirect may lead to this scheme, host and port, too; `None`: from now on to none but the
    /// endpoint's. Not while an agent runs.
    pub fn allow_redirect_to(&self, origin: Option<&str>) -> Result<()> {
        let origin = origin.map(checks::origin).transpose()?;
        let mut state = self.settle()?;
        match origin {
            Some(origin) => state.redirect_origins.push(origin),
            None => {
                checks::tls_fits(&state.tls, &state.endpoint, (state.proxy.as_ref(), &[]))?;
                state.redirect_origins.clear();
            }
        }
        Ok(())
    }

    /// Whether the usual variables may name a proxy where the host has not. Not while an agent
    /// runs.
    pub fn use_proxy_environment(&self, on: bool) -> Result<()> {
        self.settle()?.is_proxy_environment_used = on;
        Ok(())
    }

    /// Exchanges go through the host's own HTTP stack. Not while an agent runs.
    pub fn use_custom_transport(&self, on: bool) -> Result<()> {
        let mut state = self.settle()?;
        checks::transport_fits(&state.endpoint, on)?;
        state.is_host_transport = on;
        Ok(())
    }

    /// Who may vouch for the server. Not while an agent runs.
    pub fn set_roots(&self, roots: Roots) -> Result<()> {
        roots
            .check()
            .map_err(|why| checks::tls_error(&why, &roots, None))?;
        self.change_tls(|tls| tls.roots = roots)
    }

    /// The client's own certificate and key. Not while an agent runs.
    pub fn set_client_certificate(&self, identity: Option<Identity>) -> Result<()> {
        if let Some(identity) = &identity {
            identity
                .check()
                .map_err(|why| checks::tls_error(&why, &Roots::Default, Some(identity)))?;
        }
        self.change_tls(|tls| tls.identity = identity)
    }

    /// Takes any certificate of any server. Not while an agent runs; said in the log at each start.
    pub fn set_insecure_skip_verify(&self, on: bool) -> Result<()> {
        self.change_tls(|tls| tls.skip_verify = on)
    }

    /// Declares what the agent does. While an agent runs, what its host can not serve is refused
    /// and nothing changes.
    pub fn set_capabilities(&self, bits: u64) -> Result<()> {
        capabilities::check(bits)?;
        let mut state = self.state.lock();
        if let Some(running) = &state.running {
            capabilities::check_served(bits, running.served)?;
        }
        state.capabilities = bits;
        state.put(|mail| mail.capabilities = Some(bits));
        Ok(())
    }

    pub fn capabilities(&self) -> u64 {
        self.state.lock().capabilities
    }

    /// At least one attribute of either kind.
    pub fn set_description(&self, description: AgentDescription) -> Result<()> {
        if is_empty(&description) {
            return Err(checks::no_attribute());
        }
        let description = Arc::new(description);
        let mut state = self.state.lock();
        state.description = Some(description.clone());
        state.put(|mail| mail.description = Some(description));
        Ok(())
    }

    /// Shares the map. `Code::Capability`: kept, but ReportsEffectiveConfig is not declared.
    pub fn set_effective_config(&self, config: ConfigMap) -> Result<()> {
        let mut state = self.state.lock();
        state.effective_config = Some(config.clone());
        state.put(|mail| mail.effective_config = Some(config));
        state.check_covered(capabilities::REPORTS_EFFECTIVE_CONFIG)
    }

    /// The host's verdict on an offer. `Code::Capability`: kept, but ReportsRemoteConfig is not
    /// declared.
    pub fn set_remote_config_status(&self, hash: &[u8], state: i32, error: &[u8]) -> Result<()> {
        let status = checks::status(hash, state, error)?;
        let mut state = self.state.lock();
        state.check_hash(hash)?;
        match &state.running {
            Some(running) => {
                running.mailbox.put(|mail| mail.verdict = Some(status));
            }
            None => state.verdict = Some(status),
        }
        state.check_covered(capabilities::REPORTS_REMOTE_CONFIG)
    }

    /// One number of `defaults::TABLE`. Not while an agent runs.
    pub fn set_option(&self, id: i32, value: u64) -> Result<()> {
        let (at, row) = option_row(id)?;
        if !(row.min..=row.max).contains(&value) {
            let (name, min, max) = (row.name, row.min, row.max);
            let text = format!("{name} is {value}, must be {min} to {max}");
            return Err(Error::argument(text).because(Reason::OutOfRange));
        }
        let mut state = self.settle()?;
        if let Some(slot) = state.options.get_mut(at) {
            *slot = value;
        }
        let grace = state.number(defaults::STOP_GRACE_MS);
        self.stop_grace.store(grace, Ordering::Relaxed);
        Ok(())
    }

    pub fn option(&self, id: i32) -> Result<u64> {
        let (at, row) = option_row(id)?;
        Ok(self
            .state
            .lock()
            .options
            .get(at)
            .copied()
            .unwrap_or(row.default))
    }

    pub(crate) fn state(&self) -> crate::locks::MutexGuard<'_, State> {
        self.state.lock()
    }

    /// How long a stop may still talk to the server. Takes no lock.
    pub(crate) fn stop_grace(&self) -> Duration {
        Duration::from_millis(self.stop_grace.load(Ordering::Relaxed))
    }

    /// The state, for a change that is refused while an agent runs.
    fn settle(&self) -> Result<crate::locks::MutexGuard<'_, State>> {
        let state = self.state.lock();
        state.check_idle()?;
        Ok(state)
    }

    fn change_tls(&self, change: impl FnOnce(&mut TlsSettings)) -> Result<()> {
        let mut state = self.settle()?;
        let mut tls = state.tls.clone();
        change(&mut tls);
        let others = (state.proxy.as_ref(), &*state.redirect_origins);
        checks::tls_fits(&tls, &state.endpoint, others)?;
        state.tls = tls;
        Ok(())
    }
}

impl State {
    /// One agent at a time runs on a client.
    pub(crate) fn attach(&mut self, mailbox: &Arc<Mailbox>, served: u64) {
        self.running = Some(Running {
            mailbox: mailbox.clone(),
            served,
        });
    }

    /// The agent has stopped: `carry` is what it knew, `unread` what came too late for it.
    pub(crate) fn detach(&mut self, carry: PersistentState, unread: Mail) {
        self.running = None;
        self.carry = carry;
        self.carry.request_instance_uid |= unread.request_uid;
        self.verdict = unread.verdict;
    }

    pub(crate) fn check_idle(&self) -> Result<()> {
        match self.running {
            Some(_) => {
                Err(Error::state("an agent is running on this client")
                    .because(Reason::AgentRunning))
            }
            None => Ok(()),
        }
    }

    /// The option with this id, one of the table's.
    pub(crate) fn number(&self, id: i32) -> u64 {
        let at = option_row(id).map(|(at, _)| at).ok();
        at.and_then(|at| self.options.get(at).copied())
            .unwrap_or_default()
    }

    pub(crate) fn millis(&self, id: i32) -> Duration {
        Duration::from_millis(self.number(id))
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            resolve: self.millis(defaults::RESOLVE_TIMEOUT_MS),
            connect: self.millis(defaults::CONNECT_TIMEOUT_MS),
            tls: self.millis(defaults::TLS_TIMEOUT_MS),
            proxy: self.millis(defaults::PROXY_TIMEOUT_MS),
            first_byte: self.millis(defaults::FIRST_BYTE_TIMEOUT_MS),
            exchange: self.millis(defaults::EXCHANGE_TIMEOUT_MS),
            message: usize::try_from(self.number(defaults::MESSAGE_LIMIT_BYTES))
                .unwrap_or(usize::MAX),
            connection_age: self.millis(defaults::CONNECTION_MAX_AGE_MS),
            ping: self.millis(defaults::PING_INTERVAL_MS),
            pong: self.millis(defaults::PONG_TIMEOUT_MS),
            close: self.millis(defaults::CLOSE_TIMEOUT_MS),
        }
    }

    pub(crate) fn transport(&self) -> &'static str {
        if self.is_host_transport {
            return "host";
        }
        match self.endpoint.scheme() {
            Scheme::Http | Scheme::HttpUnix => "http",
            Scheme::Https => "https",
            Scheme::Ws | Scheme::WsUnix => "ws",
            Scheme::Wss => "wss",
        }
    }

    fn put(&self, change: impl FnOnce(&mut Mail)) {
        if let Some(running) = &self.running {
            running.mailbox.put(change);
        }
    }

    fn check_covered(&self, capability: u64) -> Result<()> {
        if self.capabilities & capability != 0 {
            return Ok(());
        }
        let text = format!(
            "kept, and reported once the capability {} is declared",
            capabilities::names(capability)
        );
        Err(Error::new(Code::Capability, Kind::Argument, text)
            .because(Reason::CapabilityUndeclared)
            .about(capability))
    }

    /// A verdict is on the last offer or repeats the last report; before the first offer it is the
    /// host's own memory.
    fn check_hash(&self, hash: &[u8]) -> Result<()> {
        let repeats = self
            .verdict
            .as_ref()
            .is_some_and(|verdict| verdict.hash() == hash);
        if repeats || self.carry.is_verdict_for(hash) {
            return Ok(());
        }
        let text = "hash is neither the last offer's nor the last reported one";
        Err(Error::argument(text).because(Reason::UnknownHash))
    }
}

pub(crate) fn is_empty(description: &AgentDescription) -> bool {
    description.identifying_attributes.is_empty()
        && description.non_identifying_attributes.is_empty()
}

fn option_row(id: i32) -> Result<(usize, &'static defaults::Row)> {
    defaults::TABLE
        .iter()
        .enumerate()
        .find(|(_, row)| row.id == id)
        .ok_or_else(|| {
            Error::argument(format!("{id} is not the number of an option"))
                .because(Reason::UnknownOption)
        })
}
