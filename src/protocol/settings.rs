//! Offered connection settings.
use std::time::Duration;

use bytes::Bytes;

use super::{config::Policy, core::Core};
use crate::proto::{self, AgentCapabilities};

impl Core {
    /// CONN-06 and CONN-12: of an offer of settings this release takes the interval alone.
    pub(super) fn on_connection_settings(&mut self, offers: proto::ConnectionSettingsOffers) {
        let declared = AgentCapabilities::ReportsHeartbeat as u64
            | AgentCapabilities::AcceptsOpAmpConnectionSettings as u64;
        let Some(opamp) = offers
            .opamp
            .filter(|_| self.state.reported.capabilities & declared != 0)
        else {
            return;
        };
        let is_known = !offers.hash.is_empty() && offers.hash == self.upstream.settings_hash;
        if is_known {
            return;
        }
        // Small, but a slice of a perhaps large message.
        self.upstream.settings_hash = Bytes::copy_from_slice(&offers.hash);
        let seconds = opamp.heartbeat_interval_seconds;
        if seconds > 0 {
            let interval = Duration::from_secs(seconds);
            let (min, max) = (
                self.config.server_interval_min,
                self.config.server_interval_max,
            );
            self.upstream
                .heartbeat
                .set_by_server(interval.clamp(min, max));
            self.on_interval();
        } else if self.upstream.policy == Policy::WebSocket && changes_nothing_else(&opamp) {
            self.upstream.heartbeat.set_by_server(Duration::ZERO);
        }
    }
}

/// 0 can not be told from "absent": only alone it means "no heartbeats".
fn changes_nothing_else(opamp: &proto::OpAmpConnectionSettings) -> bool {
    let interval = proto::OpAmpConnectionSettings {
        heartbeat_interval_seconds: opamp.heartbeat_interval_seconds,
        ..Default::default()
    };
    *opamp == interval
}
