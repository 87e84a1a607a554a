//! What a start checks, in the order in which it says so, and what it makes.

use std::sync::Arc;

use super::{
    capabilities, checks,
    client::{Client, State, is_empty},
    clock, convert, defaults,
    error::{Code, Error, Kind, Result},
    event::EventKind,
    identity,
    journal::{About, Journal},
    life::{Host as HostApi, Setup},
    mailbox::Mailbox,
    queue::Queue,
    reason::Reason,
    run::{Lifeline, Run},
    worker::Link,
};
use crate::{
    protocol::{Change, Config, Core, Input, Policy},
    transport::{
        Proxies, Proxy, Redirects, Settings, Wake, host, http,
        proxy::{Choice, Environment},
        tls,
        websocket::WebSocket,
    },
};

/// Ready to be worked on.
pub(crate) struct Plan {
    pub(crate) run: Arc<Run>,
    pub(crate) link: Link,
    /// For the log, at INFO.
    pub(crate) about: String,
    /// Warnings for the log, given by the worker: here the host's locks are held.
    pub(crate) warnings: Vec<String>,
}

/// Checks everything that can be known without a network, and attaches the run to the client.
pub(crate) fn plan(
    client: &Arc<Client>,
    queue: &Arc<Queue>,
    setup: &Setup,
    host: &dyn HostApi,
) -> Result<Plan> {
    let mut state = client.state();
    state.check_idle()?;
    let description = match &state.description {
        Some(description) if !is_empty(description) => description.clone(),
        _ => {
            let text = "the agent description is not set; it is needed before start";
            return Err(Error::argument(text).because(Reason::NoDescription));
        }
    };
    let served = capabilities::served_by(|kind| host.hears(kind));
    capabilities::check_served(state.capabilities, served)?;
    if state.is_host_transport && !host.hears(EventKind::REQUEST) {
        let text = "the application's own transport needs the callback on_request";
        return Err(Error::argument(text).because(Reason::NeedsOnRequest));
    }
    if setup.interval.is_zero() && !state.endpoint.scheme().is_websocket() {
        return Err(
            Error::argument("an interval of 0 is for WebSocket endpoints: HTTP must poll")
                .because(Reason::OutOfRange),
        );
    }
    check_options(&state)?;
    let settings = settings_of(&state, identity::new_seed()?)?;
    let wake = Wake::new().map_err(|why| convert::no_descriptor(&why))?;
    let seed = identity::new_seed()?;
    let mailbox = Mailbox::new(wake.clone());
    let mut core = Core::new(
        config_of(&state, setup),
        state.carry.clone(),
        clock::now(),
        seed,
    );
    set_parts(&mut core, &mut state, description);
    let way = way_of(&state, &settings);
    let uid = identity::uid_text(&state.carry.instance_uid);
    let about = format!(
        "started: libopamp {}, {way} over {}, instance uid {uid}, capabilities {:#x}",
        env!("CARGO_PKG_VERSION"),
        state.transport(),
        state.capabilities
    );
    let journal = Journal::new(
        setup.log_level,
        About {
            name: setup.name.clone(),
            uid,
            way: way.into(),
            interval: core.server_interval(),
        },
    );
    let mut warnings = Vec::new();
    if state.tls.skip_verify {
        warnings.push("server certificate verification is disabled".to_owned());
    }
    warnings.extend(settings.trust.as_ref().and_then(tls::Trust::skipped));
    let is_host_transport = state.is_host_transport;
    let parts = (client, queue, mailbox.clone());
    let run = Run::new(
        parts,
        core,
        journal,
        (state.headers.clone(), settings.proxies.clone()),
        is_host_transport,
    );
    let link = link_of(&run, settings, wake, setup, is_host_transport);
    run.set_traffic(link.traffic());
    queue.open(usize::try_from(state.number(defaults::MESSAGE_LIMIT_BYTES)).unwrap_or(usize::MAX));
    state.attach(&mailbox, served);
    Ok(Plan {
        run,
        link,
        about,
        warnings,
    })
}

/// The server and the proxy to it, without secrets.
fn way_of(state: &State, settings: &Settings) -> String {
    let url = state.endpoint.without_query();
    // One that cannot be used has been refused with the settings.
    match settings.proxies.of(&state.endpoint) {
        Ok(Some(proxy)) => format!("{url} through {proxy}"),
        _ => url.to_owned(),
    }
}

/// Each is in its range; together they must make sense, too.
fn check_options(state: &State) -> Result<()> {
    let (min, max) = (
        state.number(defaults::SERVER_INTERVAL_MIN_MS),
        state.number(defaults::SERVER_INTERVAL_MAX_MS),
    );
    match min <= max {
        true => Ok(()),
        false => Err(Error::argument(format!(
            "SERVER_INTERVAL_MIN_MS is {min}, above SERVER_INTERVAL_MAX_MS, which is {max}"
        ))
        .because(Reason::OutOfRange)),
    }
}

/// The scheme alone selects how messages travel.
fn link_of(
    run: &Arc<Run>,
    settings: Settings,
    wake: Wake,
    setup: &Setup,
    is_host_transport: bool,
) -> Link {
    let watch = Arc::new(Lifeline(run.clone()));
    if is_host_transport {
        let queue = run.queue.clone();
        let hand_out = Box::new(move |request| queue.push(EventKind::Request(request)));
        return Link::Host(Box::new(host::Host::new(settings, wake, watch, hand_out)));
    }
    let resolver = setup.resolver.clone();
    if settings.endpoint.scheme().is_websocket() {
        let socket = WebSocket::new(settings, wake, watch, resolver);
        return Link::WebSocket(Box::new(socket), None);
    }
    Link::Http(Box::new(http::Http::with_resolver(
        settings, wake, watch, resolver,
    )))
}

pub(crate) fn settings_of(state: &State, seed: u64) -> Result<Settings> {
    let proxies = proxies_of(state);
    let proxy = proxies.of(&state.endpoint).map_err(|why| {
        let call = "opamp_client_use_proxy_environment(client, 0, NULL)";
        let text = format!("{why} (to ignore it: {call})");
        Error::new(Code::InvalidArg, Kind::Proxy, text).because(Reason::ProxyEnvironment)
    })?;
    let mut servers = state.redirect_origins.iter().chain([&state.endpoint]);
    let has_tls = servers.any(|e| e.scheme().is_tls()) || proxy.is_some_and(Proxy::is_tls);
    Ok(Settings {
        endpoint: state.endpoint.clone(),
        trust: trust_of(state, has_tls)?,
        proxies,
        redirects: Redirects {
            limit: u32::try_from(state.number(defaults::REDIRECT_LIMIT)).unwrap_or(u32::MAX),
            allowed: state.redirect_origins.clone(),
        },
        limits: state.limits(),
        compress_above: match state.number(defaults::COMPRESS_ABOVE_BYTES) {
            0 => None,
            above => Some(usize::try_from(above).unwrap_or(usize::MAX)),
        },
        user_agent_prefix: state.user_agent_prefix.clone(),
        seed,
    })
}

/// Reads the environment, here and nowhere else.
fn proxies_of(state: &State) -> Proxies {
    let choice = match &state.proxy {
        _ if state.is_host_transport => Choice::Direct,
        Some(proxy) => Choice::Given(proxy.clone()),
        None if state.is_proxy_environment_used => Choice::Environment(Environment::read()),
        None => Choice::Direct,
    };
    Proxies {
        choice,
        headers: state.proxy_headers.clone(),
    }
}

/// Reads the trust files and, only here, the environment.
fn trust_of(state: &State, has_tls: bool) -> Result<Option<tls::Trust>> {
    if state.is_host_transport || !has_tls {
        return Ok(None);
    }
    let mut wanted = state.tls.clone();
    wanted.accepts_expired = state.number(defaults::ACCEPT_EXPIRED_CA) != 0;
    let trust = wanted.at_start();
    trust
        .map(Some)
        .map_err(|why| checks::tls_error(&why, &state.tls.roots, state.tls.identity.as_ref()))
}

fn set_parts(core: &mut Core, state: &mut State, description: Arc<crate::proto::AgentDescription>) {
    let effective = state
        .effective_config
        .as_ref()
        .map(|config| config.proto().clone());
    let changes = [
        Some(Change::Capabilities(state.capabilities)),
        Some(Change::Description(description)),
        effective.map(Change::EffectiveConfig),
        state.verdict.take().map(Change::RemoteConfigStatus),
    ];
    for change in changes.into_iter().flatten() {
        core.handle(clock::now(), Input::Host(change));
    }
}

fn config_of(state: &State, setup: &Setup) -> Config {
    let limit = usize::try_from(state.number(defaults::MESSAGE_LIMIT_BYTES)).unwrap_or(usize::MAX);
    let policy = if state.endpoint.scheme().is_websocket() {
        Policy::WebSocket
    } else {
        Policy::Http
    };
    Config {
        interval: setup.interval,
        server_interval_min: state.millis(defaults::SERVER_INTERVAL_MIN_MS),
        server_interval_max: state.millis(defaults::SERVER_INTERVAL_MAX_MS),
        first_retry_spread: state.millis(defaults::FIRST_RETRY_MAX_MS),
        backoff_base: state.millis(defaults::BACKOFF_BASE_MS),
        backoff_top: state.millis(defaults::BACKOFF_MAX_MS),
        retry_after_cap: state.millis(defaults::RETRY_AFTER_MAX_MS),
        retry_after_jitter: state.millis(defaults::RETRY_AFTER_JITTER_MS),
        overload_floor: state.millis(defaults::RETRY_AFTER_MIN_MS),
        host_change_burst: u32::try_from(state.number(defaults::CHANGE_BURST)).unwrap_or(u32::MAX),
        host_change_period: state.millis(defaults::CHANGE_INTERVAL_MS),
        send_limit: limit,
        receive_limit: limit,
        field_limit: u32::try_from(state.number(defaults::FIELD_LIMIT)).unwrap_or(u32::MAX),
        offer_files_limit: usize::try_from(state.number(defaults::FILE_LIMIT))
            .unwrap_or(usize::MAX),
        applying_overdue: state.millis(defaults::APPLYING_TIMEOUT_MS),
        exchange_limit: state.millis(defaults::EXCHANGE_TIMEOUT_MS),
        tell_every_answer: state.number(defaults::DELIVER_EVERY_RESPONSE) != 0,
        redeliver_failed: state.number(defaults::REDELIVER_FAILED) != 0,
        close_wait: state.millis(defaults::CLOSE_TIMEOUT_MS),
        stable_session: state.millis(defaults::STABLE_CONNECTION_MS),
        ..Config::new(policy)
    }
}
