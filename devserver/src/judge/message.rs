//! What a message shows of the conformance table: each verdict names its row.
use std::collections::BTreeSet;
use std::time::Duration;

use crate::judge::facts::Facts;
use crate::judge::websocket::judge_message;
use crate::vocabulary::text::hex;
use crate::vocabulary::verdict::Verdict;
use crate::vocabulary::wire::proto::{
    AgentCapabilities as Can, RemoteConfigStatuses, ServerCapabilities,
};
use crate::vocabulary::wire::{AgentToServer, agent_capabilities, short};
use crate::world::agents::Agent;

/// More messages than this in one second, beyond what the interval makes, are a flood.
const FLOOD: usize = 100;
/// Heartbeats may come so much beside their time: the jitter of FLEET-02, and slack for a busy
/// machine.
const JITTER: f64 = 0.1;
const SLACK: Duration = Duration::from_millis(250);
/// After so many requests for the full state in a row an agent may slow down (SYNC-04).
const FULL_BURST: u32 = 3;

/// All verdicts on one message.
pub(crate) fn judge(facts: &Facts<'_>) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    header(facts, &mut verdicts);
    capabilities(facts, &mut verdicts);
    description(facts, &mut verdicts);
    config_status(facts, &mut verdicts);
    if let Some(socket) = facts.socket {
        judge_message(facts, socket, &mut verdicts);
    }
    let Some(agent) = facts.agent else {
        first(facts, &mut verdicts);
        return verdicts;
    };
    number(facts, agent, &mut verdicts);
    if facts.is_new_run {
        first(facts, &mut verdicts);
    } else {
        full_report(facts, agent, &mut verdicts);
        repetition(facts, agent, &mut verdicts);
    }
    echo(facts, agent, &mut verdicts);
    after_the_end(facts, agent, &mut verdicts);
    pace(facts, agent, &mut verdicts);
    assigned_uid(facts, agent, &mut verdicts);
    verdicts
}

/// A report that leaves nothing out: the description, and each declared part that the agent has
/// ever shown.
pub(crate) fn is_full(message: &AgentToServer, agent: Option<&Agent>) -> bool {
    let known = agent.map(|agent| &agent.known);
    let has = |bit: Can, part: bool, known: bool| {
        message.capabilities & bit as u64 == 0 || part || !known
    };
    let shown = |part: fn(&AgentToServer) -> bool| known.is_some_and(part);
    let m = message;
    m.agent_description.is_some()
        && has(Can::ReportsHealth, m.health.is_some(), true)
        && has(
            Can::ReportsAvailableComponents,
            m.available_components.is_some(),
            true,
        )
        && has(
            Can::ReportsEffectiveConfig,
            m.effective_config.is_some(),
            shown(|known| known.effective_config.is_some()),
        )
        && has(
            Can::ReportsRemoteConfig,
            m.remote_config_status.is_some(),
            shown(|known| known.remote_config_status.is_some()),
        )
        && has(
            Can::ReportsPackageStatuses,
            m.package_statuses.is_some(),
            shown(|known| known.package_statuses.is_some()),
        )
}

fn header(facts: &Facts<'_>, verdicts: &mut Vec<Verdict>) {
    let body = facts.uid.to_string();
    verdicts.push(match facts.header_uid {
        None => return,
        Some(Some(header)) if header == body => {
            Verdict::pass("HTTP-02", "the header's uid is the body's")
        }
        Some(Some(header)) => Verdict::fail(
            "HTTP-02",
            format!("OpAMP-Instance-UID is {header}, the body's {body}"),
        ),
        Some(None) => Verdict::fail("HTTP-02", "no OpAMP-Instance-UID header"),
    });
}

fn capabilities(facts: &Facts<'_>, verdicts: &mut Vec<Verdict>) {
    let m = facts.message;
    let known = agent_capabilities();
    if m.capabilities & Can::ReportsStatus as u64 == 0 {
        verdicts.push(Verdict::fail("SYNC-08", "ReportsStatus is not set"));
    }
    if m.capabilities & !known != 0 {
        let text = format!("undefined capability bits {:#x}", m.capabilities & !known);
        verdicts.push(Verdict::fail("SYNC-08", text));
    }
    let needs = [
        ("effective_config", Can::ReportsEffectiveConfig),
        ("remote_config_status", Can::ReportsRemoteConfig),
        ("package_statuses", Can::ReportsPackageStatuses),
        ("health", Can::ReportsHealth),
        ("available_components", Can::ReportsAvailableComponents),
        (
            "connection_settings_status",
            Can::ReportsConnectionSettingsStatus,
        ),
        (
            "connection_settings_request",
            Can::AcceptsOpAmpConnectionSettings,
        ),
    ];
    for (part, bit) in needs {
        if facts.parts.contains(&part) && m.capabilities & bit as u64 == 0 {
            let text = format!("{part} without {}", short(bit.as_str_name()));
            verdicts.push(Verdict::fail("SYNC-13", text));
        }
    }
    if let Some(custom) = &m.custom_message {
        let own = m.custom_capabilities.as_ref();
        let known = facts
            .agent
            .and_then(|agent| agent.known.custom_capabilities.as_ref());
        let declared = own.or(known).map(|all| &all.capabilities);
        if !declared.is_some_and(|all| all.contains(&custom.capability)) {
            let text = format!(
                "a custom message of {:?}, never declared",
                custom.capability
            );
            verdicts.push(Verdict::fail("RCV-07", text));
        }
    }
}

fn description(facts: &Facts<'_>, verdicts: &mut Vec<Verdict>) {
    let Some(description) = &facts.message.agent_description else {
        return;
    };
    let lists = [
        &description.identifying_attributes,
        &description.non_identifying_attributes,
    ];
    for list in lists {
        let mut keys = BTreeSet::new();
        for pair in list {
            if !keys.insert(&pair.key) {
                let text = format!("the attribute {:?} is there twice", pair.key);
                verdicts.push(Verdict::fail("SYNC-17", text));
            }
        }
    }
    if lists.iter().all(|list| list.is_empty()) {
        verdicts.push(Verdict::fail(
            "SYNC-19",
            "a description without any attribute",
        ));
    }
}

fn config_status(facts: &Facts<'_>, verdicts: &mut Vec<Verdict>) {
    let Some(status) = &facts.message.remote_config_status else {
        return;
    };
    let is_failed = status.status() == RemoteConfigStatuses::Failed;
    if status.status() != RemoteConfigStatuses::Unset && status.last_remote_config_hash.is_empty() {
        verdicts.push(Verdict::fail(
            "SYNC-23",
            "a configuration status without a hash",
        ));
    }
    if !is_failed && !status.error_message.is_empty() {
        verdicts.push(Verdict::fail("SYNC-23", "an error text without FAILED"));
    }
}

fn first(facts: &Facts<'_>, verdicts: &mut Vec<Verdict>) {
    // With a later number the agent is older than this server's memory and may not know that yet.
    if facts.message.sequence_num == 0 || facts.is_new_run {
        verdicts.push(if facts.is_full {
            Verdict::pass("SYNC-01", "the first report is complete")
        } else {
            Verdict::fail(
                "SYNC-01",
                format!("the first report has only {:?}", facts.parts),
            )
        });
    }
}

fn number(facts: &Facts<'_>, agent: &Agent, verdicts: &mut Vec<Verdict>) {
    let (last, new) = (agent.known.sequence_num, facts.message.sequence_num);
    let lost = agent.watch.lost;
    verdicts.push(if new == last.wrapping_add(1) {
        Verdict::pass("SYNC-12", format!("{new} after {last}"))
    } else if new > last && new - last - 1 <= lost {
        Verdict::pass(
            "SYNC-12",
            format!("{new} after {last}, {lost} may have been lost"),
        )
    } else if facts.is_new_run {
        Verdict::pass("SYNC-12", format!("{new} after {last}: another run began"))
    } else if facts.is_repeated {
        let text = format!("{new} again: the exchange before was refused or lost");
        Verdict::pass("SYNC-12", text)
    } else {
        Verdict::fail(
            "SYNC-12",
            format!("{new} after {last}, {lost} may have been lost"),
        )
    });
}

fn full_report(facts: &Facts<'_>, agent: &Agent, verdicts: &mut Vec<Verdict>) {
    let is_last = facts.message.agent_disconnect.is_some();
    // What was asked for unasked may cross a message on its way.
    let may_cross = facts.socket.is_some() && !facts.is_full;
    if (1..=FULL_BURST).contains(&agent.watch.asked_full) && !is_last && !may_cross {
        verdicts.push(if facts.is_full {
            Verdict::pass("SYNC-04", "the full report that was asked for")
        } else {
            Verdict::fail(
                "SYNC-04",
                format!("asked for the full state, got {:?}", facts.parts),
            )
        });
    }
}

/// A confirmed part that did not change is sent again without being asked for.
fn repetition(facts: &Facts<'_>, agent: &Agent, verdicts: &mut Vec<Verdict>) {
    // What the last connection left unconfirmed comes again on the next.
    let is_first = facts.socket.is_some_and(|socket| socket.messages == 0);
    let is_new_life = agent.gone.is_some() || facts.message.sequence_num == 0 || is_first;
    let is_asked = agent.watch.asked_full > 0 || agent.watch.owes_full;
    if agent.watch.excused || is_asked || agent.watch.lost > 0 || is_new_life {
        return;
    }
    let (new, old) = (facts.message, &agent.known);
    let same = [
        (
            "agent_description",
            same(&new.agent_description, &old.agent_description),
        ),
        ("health", same(&new.health, &old.health)),
        (
            "effective_config",
            same(&new.effective_config, &old.effective_config),
        ),
        (
            "remote_config_status",
            same(&new.remote_config_status, &old.remote_config_status),
        ),
        (
            "package_statuses",
            same(&new.package_statuses, &old.package_statuses),
        ),
        (
            "custom_capabilities",
            same(&new.custom_capabilities, &old.custom_capabilities),
        ),
    ];
    for (part, _) in same.into_iter().filter(|(_, is)| *is) {
        let text = format!("{part} again, unchanged and already confirmed");
        verdicts.push(Verdict::fail("SYNC-02", text));
    }
}

fn same<T: PartialEq>(new: &Option<T>, old: &Option<T>) -> bool {
    new.is_some() && new == old
}

fn echo(facts: &Facts<'_>, agent: &Agent, verdicts: &mut Vec<Verdict>) {
    let Some(status) = &facts.message.remote_config_status else {
        return;
    };
    let hash = &status.last_remote_config_hash[..];
    // Before the first offer an agent may tell what it has stored.
    if agent.offers.is_empty() || hash.is_empty() {
        return;
    }
    let before = agent.known.remote_config_status.as_ref();
    let is_old = before.is_some_and(|before| before.last_remote_config_hash == hash);
    verdicts.push(if (facts.is_offered)(hash) || is_old {
        Verdict::pass("RCV-03", "the hash is an offer's")
    } else {
        Verdict::fail("RCV-03", format!("nothing was offered as {}", hex(hash)))
    });
}

fn after_the_end(facts: &Facts<'_>, agent: &Agent, verdicts: &mut Vec<Verdict>) {
    let is_over = match facts.socket {
        Some(socket) => socket.has_goodbye,
        None => agent.gone.is_some(),
    };
    if !is_over {
        return;
    }
    if facts.message.agent_disconnect.is_some() {
        verdicts.push(Verdict::fail("LIFE-01", "a second AgentDisconnect"));
    } else if facts.message.agent_description.is_none() || facts.socket.is_some() {
        verdicts.push(Verdict::fail("LIFE-01", "a message after AgentDisconnect"));
    }
}

fn pace(facts: &Facts<'_>, agent: &Agent, verdicts: &mut Vec<Verdict>) {
    let watch = &agent.watch;
    let goes = facts.socket.is_some() && facts.message.agent_disconnect.is_some();
    let told = watch.not_before.filter(|_| !goes);
    if let Some((until, row)) = told.filter(|(until, _)| facts.now < *until) {
        let early = (until - facts.now).as_millis();
        verdicts.push(Verdict::fail(
            row,
            format!("{early} ms before the time it was told"),
        ));
    }
    let beats = watch
        .interval
        .map_or(0, |every| (1.2 / every.as_secs_f64().max(0.001)) as usize);
    if watch.recent.len() >= FLOOD + beats {
        let text = format!("{} messages in the last second", watch.recent.len() + 1);
        verdicts.push(Verdict::fail("SYNC-05", text));
    }
    let judged = facts.parts.is_empty() && !watch.excused && watch.lost == 0;
    let Some(interval) = watch.interval.filter(|_| judged && agent.gone.is_none()) else {
        return;
    };
    let gap = facts.now.saturating_sub(agent.last_seen);
    let text = format!("a heartbeat {} ms after the last message", gap.as_millis());
    let row = if facts.socket.is_some() {
        "WS-08"
    } else {
        "HTTP-05"
    };
    let is_early = gap + SLACK.min(interval / 4) < interval.mul_f64(1.0 - JITTER);
    let is_late = gap > interval.mul_f64(1.0 + JITTER) + SLACK;
    verdicts.push(match is_early || is_late || watch.asked_full > 0 {
        false => Verdict::pass(row, text),
        true if watch.asked_full > 0 => return,
        true => Verdict::fail(row, format!("{text}, not {} ms", interval.as_millis())),
    });
}

fn assigned_uid(facts: &Facts<'_>, agent: &Agent, verdicts: &mut Vec<Verdict>) {
    if facts.message.flags & 1 != 0 && !agent.former.is_empty() {
        verdicts.push(Verdict::fail(
            "SYNC-11",
            "RequestInstanceUid after one was assigned",
        ));
    }
    let Some(told) = agent.watch.told_capabilities else {
        return;
    };
    let needs = [
        (
            "effective_config",
            ServerCapabilities::AcceptsEffectiveConfig,
        ),
        (
            "package_statuses",
            ServerCapabilities::AcceptsPackagesStatus,
        ),
        (
            "connection_settings_request",
            ServerCapabilities::AcceptsConnectionSettingsRequest,
        ),
    ];
    for (part, bit) in needs {
        if facts.parts.contains(&part) && told & bit as u64 == 0 {
            verdicts.push(Verdict::fail(
                "SYNC-14",
                format!("{part}, which this server refuses"),
            ));
        }
    }
}
