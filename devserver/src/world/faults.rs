//! Fault scripts: which message or connection is spoiled, how often, and how.
use serde::Deserialize;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::vocabulary::action::{Action, On};
use crate::vocabulary::wire::check_part;
use crate::world::tls::Tls;

/// A script as it stands in a file or a POST.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    /// The conformance row it provokes; for the reader.
    #[serde(default)]
    pub(crate) row: Option<String>,
    /// What it is for; for the reader.
    #[serde(default)]
    pub(crate) why: Option<String>,
    /// Makes `chance` the same in each run.
    #[serde(default)]
    pub(crate) seed: u64,
    pub(crate) rules: Vec<RuleSpec>,
}

impl Script {
    /// Refuses a certificate that this server does not have. Without TLS it has none to show, and
    /// no use for a name.
    pub(crate) fn check(&self, tls: Option<&Tls>) -> Result<(), String> {
        let named = self
            .rules
            .iter()
            .filter_map(|rule| rule.action.get("certificate")?.as_str());
        let unknown = tls.and_then(|tls| named.into_iter().find(|name| !tls.has(name)));
        unknown.map_or(Ok(()), |name| {
            Err(format!("there is no certificate {name:?}"))
        })
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleSpec {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    on: On,
    #[serde(default, rename = "match")]
    criteria: Criteria,
    #[serde(default)]
    times: Times,
    #[serde(rename = "do")]
    action: Json,
}

/// All that are given must hold. `nth`, `from`, `to` and `every` count, from 1, the occasions that
/// fulfil the others.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Criteria {
    agent: Option<Uuid>,
    part: Option<String>,
    path: Option<String>,
    transport: Option<String>,
    nth: Option<u64>,
    from: Option<u64>,
    to: Option<u64>,
    every: Option<u64>,
    chance: Option<f64>,
}

impl Criteria {
    /// Refuses what no occasion can fulfil.
    fn check(&self) -> Result<(), String> {
        if let Some(part) = &self.part {
            check_part(part)?;
        }
        if let Some(transport) = &self.transport {
            let is_known = matches!(transport.as_str(), "http" | "https" | "ws" | "wss" | "tcp");
            if !is_known {
                return Err(format!("there is no transport {transport:?}"));
            }
        }
        let counts = [self.nth, self.from, self.to, self.every];
        if counts.contains(&Some(0)) {
            return Err("nth, from, to and every count from 1".into());
        }
        match self.chance {
            Some(chance) if !(0.0..=1.0).contains(&chance) => {
                Err(format!("chance is from 0 to 1, not {chance}"))
            }
            _ => Ok(()),
        }
    }
}

/// How often a rule acts; then all is normal again.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Json")]
struct Times(Option<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(Some(1))
    }
}

impl TryFrom<Json> for Times {
    type Error = String;

    fn try_from(json: Json) -> Result<Self, String> {
        match (json.as_u64(), json.as_str()) {
            (Some(times), _) => Ok(Self(Some(times))),
            (_, Some("always")) => Ok(Self(None)),
            _ => Err(format!("times is a number or \"always\", not {json}")),
        }
    }
}

/// Something that a rule may want to spoil.
#[derive(Clone, Copy)]
pub(crate) struct Occasion<'a> {
    pub(crate) on: On,
    pub(crate) agent: Option<Uuid>,
    pub(crate) path: &'a str,
    pub(crate) transport: &'a str,
    /// None before the body is read: then only rules that act that early look.
    pub(crate) parts: Option<&'a [&'static str]>,
}

/// A rule that acts now.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) rule: String,
    pub(crate) action: Action,
}

#[derive(Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
    random: u64,
}

struct Rule {
    name: String,
    spec: RuleSpec,
    action: Action,
    seen: u64,
    used: u64,
}

impl Faults {
    /// Replaces the rules. Names default to `rule-1`, `rule-2` and so on.
    pub(crate) fn load(&mut self, script: Script) -> Result<(), String> {
        let mut rules: Vec<Rule> = Vec::new();
        for (at, spec) in script.rules.into_iter().enumerate() {
            let action = Action::read(&spec.action, spec.on)?;
            spec.criteria.check()?;
            if spec.on == On::Message && action.is_early() && spec.criteria.part.is_some() {
                return Err("a part is not known before the body is read".into());
            }
            let name = spec.name.clone();
            let name = name.unwrap_or_else(|| format!("rule-{}", at + 1));
            if rules.iter().any(|rule| rule.name == name) {
                return Err(format!("two rules are named {name:?}"));
            }
            rules.push(Rule {
                name,
                spec,
                action,
                seen: 0,
                used: 0,
            });
        }
        self.rules = rules;
        self.random = script.seed;
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Counts the occasion at every rule that looks at it; the first that wants it acts.
    pub(crate) fn choose(&mut self, occasion: &Occasion<'_>) -> Option<Fault> {
        let mut chosen = None;
        for rule in &mut self.rules {
            if rule.looks_at(occasion) {
                rule.seen += 1;
                if chosen.is_none() && rule.wants(&mut self.random) {
                    rule.used += 1;
                    chosen = Some(Fault {
                        rule: rule.name.clone(),
                        action: rule.action.clone(),
                    });
                }
            }
        }
        chosen
    }

    /// How often a rule has acted, and whether it is used up.
    pub(crate) fn used(&self, name: &str) -> Option<(u64, bool)> {
        let rule = self.rules.iter().find(|rule| rule.name == name)?;
        Some((rule.used, rule.is_used_up()))
    }

    pub(crate) fn show(&self) -> Json {
        let show = |rule: &Rule| {
            json!({
                "name": rule.name,
                "seen": rule.seen,
                "used": rule.used,
                "used_up": rule.is_used_up(),
            })
        };
        self.rules.iter().map(show).collect()
    }
}

impl Rule {
    fn is_used_up(&self) -> bool {
        self.spec.times.0.is_some_and(|times| self.used >= times)
    }

    fn looks_at(&self, occasion: &Occasion<'_>) -> bool {
        let Criteria {
            agent,
            part,
            path,
            transport,
            ..
        } = &self.spec.criteria;
        let is_early = self.spec.on == On::Message && self.action.is_early();
        let parts = occasion.parts.unwrap_or_default();
        self.spec.on == occasion.on
            && is_early == (occasion.on == On::Message && occasion.parts.is_none())
            && agent.is_none_or(|agent| occasion.agent == Some(agent))
            && path.as_ref().is_none_or(|path| path == occasion.path)
            && transport
                .as_ref()
                .is_none_or(|transport| transport == occasion.transport)
            && part
                .as_ref()
                .is_none_or(|part| parts.contains(&part.as_str()))
    }

    fn wants(&self, random: &mut u64) -> bool {
        let Criteria {
            nth,
            from,
            to,
            every,
            chance,
            ..
        } = &self.spec.criteria;
        !self.is_used_up()
            && nth.is_none_or(|nth| self.seen == nth)
            && from.is_none_or(|from| self.seen >= from)
            && to.is_none_or(|to| self.seen <= to)
            && every.is_none_or(|every| every > 0 && self.seen % every == 0)
            && chance.is_none_or(|chance| fraction(random) < chance)
    }
}

/// The next number of a splitmix64 sequence, in [0, 1).
fn fraction(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}
