//! Expectations over the timeline, judged now or within a time; the judgement as JSON and as JUnit.
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::control::wait::{Scan, Until, contains, wait};
use crate::vocabulary::text::{Span, millis};
use crate::world::server::Server;
use crate::world::state::State;
use crate::world::timeline::Entry;

/// A list of expectations as it stands in a file or a POST.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    #[serde(default)]
    pub(crate) name: Option<String>,
    expect: Vec<Expectation>,
}

/// Either `until`, a condition as in /api/wait, or `match`, entries that are counted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Expectation {
    name: Option<String>,
    row: Option<String>,
    agent: Option<Uuid>,
    since: u64,
    until: Option<String>,
    #[serde(rename = "match")]
    matches: Option<Json>,
    /// How many entries match: at least (1, or 0 beside `max`) and at most.
    min: Option<usize>,
    max: Option<usize>,
    /// Milliseconds between one match and the next: at least, at most.
    gap_ms: Option<(f64, f64)>,
    /// How long it may take to come true, or must stay true where there is a `max` or a gap.
    within: Option<Span>,
}

/// What became of one expectation.
pub(crate) struct Outcome {
    name: String,
    row: Option<String>,
    passed: bool,
    text: String,
    took: Duration,
}

/// What became of a list.
pub(crate) struct Judgement {
    name: String,
    outcomes: Vec<Outcome>,
}

impl List {
    /// Refuses what can not be judged, before anybody waits for it.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.expect
            .iter()
            .try_for_each(|expectation| match &expectation.until {
                Some(until) if expectation.matches.is_none() => Until::parse(until).map(drop),
                None if expectation.matches.is_some() => Ok(()),
                _ => Err("an expectation has either until or match".into()),
            })
    }

    /// Judges all at once, each in its own time; with `now` as things stand.
    pub(crate) async fn judge(self, server: &Arc<Server>, now: bool) -> Judgement {
        let mut tasks = JoinSet::new();
        for (at, expectation) in self.expect.into_iter().enumerate() {
            let server = Arc::clone(server);
            let within = expectation.within.map_or(Duration::ZERO, |span| span.0);
            let within = if now { Duration::ZERO } else { within };
            tasks.spawn(async move { (at, expectation.judge(&server, at, within).await) });
        }
        let mut outcomes = tasks.join_all().await;
        outcomes.sort_by_key(|(at, _)| *at);
        Judgement {
            name: self.name.unwrap_or_else(|| "opamp-devserver".into()),
            outcomes: outcomes.into_iter().map(|(_, outcome)| outcome).collect(),
        }
    }
}

impl Expectation {
    async fn judge(self, server: &Server, at: usize, within: Duration) -> Outcome {
        let start = server.now();
        let result = match &self.until {
            Some(until) => self.judge_until(server, until, within).await,
            None => self.judge_match(server, within).await,
        };
        let (passed, text) = match result {
            Ok(text) => (true, text),
            Err(text) => (false, text),
        };
        let name = self
            .name
            .clone()
            .unwrap_or_else(|| format!("expectation {}", at + 1));
        let took = server.now().saturating_sub(start);
        Outcome {
            name,
            row: self.row,
            passed,
            text,
            took,
        }
    }

    async fn judge_until(
        &self,
        server: &Server,
        text: &str,
        within: Duration,
    ) -> Result<String, String> {
        let mut scan = Scan::new(Until::parse(text)?, self.agent, self.since);
        match wait(server, within, |state| scan.look(state)).await {
            Some(entry) => Ok(format!("{text} by entry {}", entry.index)),
            None => Err(format!(
                "{text} did not come true within {} ms",
                within.as_millis()
            )),
        }
    }

    async fn judge_match(&self, server: &Server, within: Duration) -> Result<String, String> {
        let mut found: Vec<Arc<Entry>> = Vec::new();
        let mut next = self.since;
        // Decided early when there is too much, or enough and nothing that more could spoil.
        let is_open = self.max.is_some() || self.gap_ms.is_some();
        let early = wait(server, within, |state| {
            self.collect(state, &mut next, &mut found);
            let spoiled = self.spoiled(&found);
            (spoiled.is_some() || (!is_open && found.len() >= self.least())).then_some(spoiled)
        });
        if let Some(Some(spoiled)) = early.await {
            return Err(spoiled);
        }
        self.collect(&server.state(), &mut next, &mut found);
        match self.spoiled(&found) {
            Some(spoiled) => Err(spoiled),
            None if found.len() >= self.least() => Ok(format!("{} matches", found.len())),
            None => Err(format!("{} matches, not {}", found.len(), self.least())),
        }
    }

    fn least(&self) -> usize {
        self.min.unwrap_or(usize::from(self.max.is_none()))
    }

    fn collect(&self, state: &State, next: &mut u64, found: &mut Vec<Arc<Entry>>) {
        let expected = self.matches.as_ref().unwrap_or(&Json::Null);
        let new = state.timeline.since(*next);
        let of_agent = new.filter(|entry| entry.is_of(self.agent));
        found.extend(
            of_agent
                .filter(|entry| contains(&entry.show(false), expected))
                .cloned(),
        );
        *next = state.timeline.next();
    }

    fn spoiled(&self, found: &[Arc<Entry>]) -> Option<String> {
        if let Some(over) = self.max.and_then(|max| found.get(max)) {
            return Some(format!("entry {} is one match too many", over.index));
        }
        let (least, most) = self.gap_ms?;
        let wrong = found.windows(2).find(|two| {
            let gap = millis(two[1].at - two[0].at);
            gap < least || gap > most
        })?;
        let gap = millis(wrong[1].at - wrong[0].at);
        Some(format!(
            "{gap} ms between the entries {} and {}",
            wrong[0].index, wrong[1].index
        ))
    }
}

impl Judgement {
    pub(crate) fn passed(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.passed)
    }

    pub(crate) fn show(&self) -> Json {
        let show = |outcome: &Outcome| {
            json!({
                "name": outcome.name,
                "row": outcome.row,
                "passed": outcome.passed,
                "text": outcome.text,
                "took_ms": millis(outcome.took),
            })
        };
        let results: Vec<Json> = self.outcomes.iter().map(show).collect();
        json!({"passed": self.passed(), "results": results})
    }

    /// As JUnit XML, one test case for each expectation.
    pub(crate) fn junit(&self) -> String {
        let failures = self
            .outcomes
            .iter()
            .filter(|outcome| !outcome.passed)
            .count();
        let seconds = |span: Duration| format!("{:.3}", span.as_secs_f64());
        let longest = self
            .outcomes
            .iter()
            .map(|outcome| outcome.took)
            .max()
            .unwrap_or_default();
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let mut line = |text: String| writeln!(xml, "{text}").expect("a String takes all");
        line(format!(
            "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" time=\"{}\">",
            escaped(&self.name),
            self.outcomes.len(),
            seconds(longest)
        ));
        for outcome in &self.outcomes {
            let class = escaped(outcome.row.as_deref().unwrap_or(&self.name));
            let (name, text) = (escaped(&outcome.name), escaped(&outcome.text));
            let time = seconds(outcome.took);
            let open = format!("<testcase classname=\"{class}\" name=\"{name}\" time=\"{time}\"");
            line(if outcome.passed {
                format!("  {open}/>")
            } else {
                format!("  {open}><failure message=\"{text}\"/></testcase>")
            });
        }
        line("</testsuite>".into());
        xml
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML 1.0 has no way to write the others.
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
