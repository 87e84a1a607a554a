//! Start, reports, stop, restart.
use super::*;

fn stop(scene: &mut Scene, within: Duration) {
    scene.input(Input::Stop {
        within,
        goodbye: true,
    });
}

fn detach(scene: &mut Scene, within: Duration) {
    scene.input(Input::Stop {
        within,
        goodbye: false,
    });
}

#[test]
fn stop_says_goodbye_once_with_what_is_pending_and_waits_for_its_answer() {
    let mut scene = Scene::http();
    scene.host(Change::Description(description("one")));
    scene.host(Change::Description(description("two")));
    stop(&mut scene, secs(2));
    assert_eq!(scene.sent.len(), 1, "never beside a request in flight");
    scene.answer(ServerToAgent::default());
    assert!(scene.last().agent_disconnect.is_some());
    assert!(scene.last().agent_description.is_some());
    assert!(!scene.events.contains(&Event::Stopped));
    scene.answer(asks_full_state());
    assert_eq!(scene.events, [Event::Stopped]);
    scene.pass(secs(1000));
    stop(&mut scene, secs(2));
    assert_eq!((scene.sent.len(), scene.events.len()), (2, 1));
    assert_eq!(scene.core.snapshot().state, AgentState::Stopped);
}

/// Description and configuration changed while an exchange was on its way, then a stop.
fn stop_with_news(scene: &mut Scene, size: usize) {
    scene.host(Change::PollNow);
    scene.host(Change::Description(description(&"y".repeat(300))));
    let config = config_map(&"x".repeat(size));
    scene.host(Change::EffectiveConfig(Arc::new(config)));
    scene.forget();
    stop(scene, secs(2));
}

/// The one warning, of a size.
fn left_out(scene: &Scene) -> &str {
    assert_eq!(scene.warnings(), [WarningKind::RequestTooLarge]);
    let mut texts = scene.events.iter().filter_map(|event| match event {
        Event::Warning { text, .. } => Some(&**text),
        _ => None,
    });
    texts.next().expect("one")
}

/// [HTTP-24] [LIFE-01]
#[test]
fn a_goodbye_too_large_for_the_way_leaves_without_the_part_and_that_is_told() {
    let mut scene = Scene::http();
    stop_with_news(&mut scene, 1000);
    scene.answer(ServerToAgent::default());
    assert!(scene.last().effective_config.is_some());
    scene.status(413, None);
    let last = scene.last();
    assert!(last.agent_disconnect.is_some() && last.agent_description.is_some());
    assert!(last.effective_config.is_none());
    scene.answer(ServerToAgent::default());
    assert_eq!(scene.sent.len(), 2);
    assert_eq!(scene.events.last(), Some(&Event::Stopped));
    let text = left_out(&scene);
    assert!(
        text.starts_with("the effective configuration of 1"),
        "{text}"
    );
    assert!(
        text.ends_with("too large for the last message: it was not reported"),
        "{text}"
    );
    // one that is refused bare is not said again
    let mut scene = Scene::http();
    stop(&mut scene, secs(2));
    scene.status(413, None);
    assert_eq!(scene.sent.len(), 1);
    assert_eq!(scene.events.last(), Some(&Event::Stopped));
    // nor one whose time is over
    let mut scene = Scene::http();
    stop_with_news(&mut scene, 1000);
    scene.answer(ServerToAgent::default());
    scene.now = scene.now + secs(2);
    scene.status(413, None);
    assert_eq!(scene.sent.len(), 1);
    left_out(&scene);
}

/// [HTTP-24] By our own limit: too large beside the rest, and too large alone.
#[test]
fn a_goodbye_over_our_own_limit_leaves_without_the_part_and_that_is_told() {
    for (size, fate) in [(300, "it was not reported"), (600, "until it changes")] {
        let config = Config {
            send_limit: 500,
            ..Config::new(Policy::Http)
        };
        let mut scene = Scene::with(config, PersistentState::new(UID));
        scene.host(Change::Capabilities(CAPABILITIES));
        scene.input(Input::Start);
        scene.answer(ServerToAgent::default());
        stop_with_news(&mut scene, size);
        scene.answer(ServerToAgent::default());
        let last = scene.last();
        assert!(last.agent_disconnect.is_some() && last.agent_description.is_some());
        assert!(last.effective_config.is_none());
        scene.answer(ServerToAgent::default());
        assert_eq!(scene.sent.len(), 1);
        assert!(left_out(&scene).ends_with(fate), "{}", left_out(&scene));
    }
}

/// [HTTP-24] Over WebSocket nothing comes after a goodbye, so what a 1009 means is told alone.
#[test]
fn a_close_with_1009_after_the_goodbye_is_told() {
    for is_written in [true, false] {
        let mut scene = Scene::websocket();
        stop_with_news(&mut scene, 1000);
        scene.confirm();
        let last = scene.last();
        assert!(last.agent_disconnect.is_some() && last.effective_config.is_some());
        if is_written {
            scene.fact(Fact::Written);
        }
        scene.fail(FailKind::Size, ReachedServer::Maybe);
        assert_eq!(scene.events.last(), Some(&Event::Stopped));
        let text = left_out(&scene);
        assert!(
            text.starts_with("the effective configuration of 1"),
            "{text}"
        );
    }
}

#[test]
fn an_exchange_that_outlasts_the_grace_is_cut_without_a_goodbye() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    stop(&mut scene, secs(2));
    scene.pass(millis(1999));
    assert!(scene.closes.is_empty());
    scene.pass(millis(1));
    assert_eq!(scene.closes, [None]);
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    assert_eq!(scene.events, [Event::Stopped]);
    assert_eq!(scene.sent.len(), 1);
}

/// LIFE-16: what is pending is still reported, behind the exchange in flight; the server is never
/// told that we are gone.
#[test]
fn detach_reports_pending_without_goodbye() {
    let mut scene = Scene::http();
    scene.host(Change::Description(description("one")));
    scene.host(Change::Description(description("two")));
    detach(&mut scene, secs(2));
    stop(&mut scene, secs(2)); // of a stop that follows nothing changes
    assert_eq!(scene.sent.len(), 1, "never beside a request in flight");
    scene.answer(ServerToAgent::default());
    assert!(scene.last().agent_description.is_some());
    assert!(!scene.events.contains(&Event::Stopped));
    scene.answer(asks_full_state());
    assert_eq!(scene.events, [Event::Stopped]);
    assert_eq!(scene.sent.len(), 2, "one last message");
    assert!(
        scene
            .sent
            .iter()
            .all(|(_, it)| it.agent_disconnect.is_none())
    );
    // Nothing is pending: nothing is sent.
    let mut scene = Scene::http();
    detach(&mut scene, secs(2));
    assert_eq!(scene.events, [Event::Stopped]);
    assert!(scene.sent.is_empty());
    // It comes before the goodbye of a stop was built.
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    stop(&mut scene, secs(2));
    detach(&mut scene, secs(2));
    scene.answer(ServerToAgent::default());
    assert_eq!(scene.events, [Event::Stopped]);
    assert_eq!(scene.sent.len(), 1);
}

/// LIFE-01: the server is there, and nothing forbids to talk to it.
#[test]
fn a_stop_after_a_413_says_goodbye() {
    let mut scene = Scene::http();
    scene.host(Change::EffectiveConfig(Arc::new(config_map("large"))));
    scene.status(413, None);
    scene.forget();
    stop(&mut scene, secs(2));
    assert!(scene.last().agent_disconnect.is_some());
    assert!(scene.last().effective_config.is_none(), "it is held back");
    // unless it has never answered
    let mut scene = Scene::of(Policy::Http);
    scene.input(Input::Start);
    scene.status(413, None);
    scene.forget();
    stop(&mut scene, secs(2));
    assert!(scene.sent.is_empty());
}

#[test]
fn without_a_connection_stop_is_immediate_and_silent() {
    // never started
    let mut scene = Scene::of(Policy::Http);
    stop(&mut scene, secs(2));
    assert_eq!(scene.events, [Event::Stopped]);
    // connecting for the first time
    let mut scene = Scene::of(Policy::Http);
    scene.input(Input::Start);
    stop(&mut scene, secs(2));
    assert_eq!(scene.closes, [None]);
    scene.fail(FailKind::Io, ReachedServer::No);
    assert_eq!(scene.events, [Event::Stopped]);
    // the same, but a connection stands: the answer is awaited
    let mut scene = Scene::of(Policy::Http);
    scene.input(Input::Start);
    scene.fact(Fact::Opened);
    stop(&mut scene, secs(2));
    assert!(scene.closes.is_empty());
    // in a backoff, and behind a gate
    for status in [500, 503] {
        let mut scene = Scene::http();
        scene.host(Change::PollNow);
        scene.status(status, None);
        scene.forget();
        stop(&mut scene, secs(2));
        assert_eq!(scene.events, [Event::Stopped]);
        assert!(scene.sent.is_empty());
    }
}

#[test]
fn a_restart_goes_on_where_the_last_run_ended() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.answer(ServerToAgent { ..interval(7, "") });
    scene.host(Change::PollNow);
    scene.answer(offer("h1", "a"));
    scene.host(verdict("h1", ConfigState::Failed, "no"));
    scene.status(503, Some(secs(600)));
    let carry = scene.core.carry();
    stop(&mut scene, secs(1));
    // given a second run
    let mut second = Scene::with(Config::new(Policy::Http), carry);
    second.now = scene.now;
    second.host(Change::Capabilities(CAPABILITIES));
    second.input(Input::Start);
    // then it waits for the Retry-After of the first
    assert_eq!(second.wait_why(), Timer::RetryAfter);
    second.pass(secs(631));
    assert_eq!(second.last().sequence_num, 4);
    assert!(second.last().remote_config_status.is_some());
    second.answer(offer("h1", "a"));
    assert!(second.offers().is_empty());
    assert_eq!(second.core.snapshot().interval, secs(7));
}

#[test]
fn an_offer_that_was_never_answered_is_delivered_again_after_a_restart() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.answer(offer("h1", "a"));
    let mut second = Scene::with(Config::new(Policy::Http), scene.core.carry());
    second.host(Change::Capabilities(CAPABILITIES));
    second.input(Input::Start);
    second.answer(offer("h1", "a"));
    assert_eq!(second.offers().len(), 1);
}

/// LOG-05.
#[test]
fn what_the_last_run_was_applying_becomes_failed_too() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.answer(offer("h1", "a"));
    scene.host(verdict("h1", ConfigState::Applying, ""));
    stop(&mut scene, secs(2));
    let mut next = Scene::with(Config::new(Policy::Http), scene.core.carry());
    next.host(Change::Capabilities(CAPABILITIES));
    next.host(Change::Description(description("gateway")));
    next.input(Input::Start);
    next.pass_answering(secs(601), &offer("h1", "a"));
    assert_eq!(next.warnings(), [WarningKind::ApplyingOverdue]);
}

/// CONN-06: 0 leaves HTTP polling as it is.
#[test]
fn heartbeats_that_a_server_stopped_over_websocket_do_not_change_polls() {
    let mut scene = Scene::websocket();
    scene.answer(interval(0, ""));
    assert_eq!(scene.core.snapshot().interval, Duration::ZERO);
    let mut config = Config::new(Policy::Http);
    config.interval = secs(10);
    let mut next = Scene::with(config, scene.core.carry());
    next.host(Change::Description(description("gateway")));
    next.input(Input::Start);
    next.answer(ServerToAgent::default());
    assert!(next.wait_for() <= secs(11), "{:?}", next.wait);
    assert_eq!(next.core.snapshot().interval, secs(10));
}

fn report(scene: &mut Scene, ticket: u64, tries: Option<u32>, force_message: bool) {
    scene.host(Change::Report {
        ticket,
        tries,
        force_message,
    });
}

#[test]
fn a_report_ends_when_all_that_was_set_before_is_confirmed() {
    let mut scene = Scene::http();
    report(&mut scene, 1, None, false);
    assert_eq!(
        scene.outcomes(),
        [(1, &Outcome::Confirmed)],
        "nothing is pending"
    );
    scene.forget();
    scene.host(Change::Description(description("one")));
    scene.host(Change::EffectiveConfig(Arc::new(config_map("a"))));
    report(&mut scene, 2, None, false);
    scene.answer(ServerToAgent::default());
    assert!(scene.outcomes().is_empty());
    scene.host(Change::Description(description("later")));
    scene.answer(ServerToAgent::default());
    assert_eq!(scene.outcomes(), [(2, &Outcome::Confirmed)]);
}

#[test]
fn a_report_with_a_message_of_its_own_waits_for_that_message() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    report(&mut scene, 1, None, true);
    scene.answer(ServerToAgent::default());
    assert!(scene.outcomes().is_empty());
    assert_eq!(scene.sent.len(), 2);
    scene.answer(ServerToAgent::default());
    assert_eq!(scene.outcomes(), [(1, &Outcome::Confirmed)]);
}

#[test]
fn a_report_ends_at_once_when_a_part_is_held_back() {
    let mut scene = Scene::http();
    scene.host(Change::Description(description("bad")));
    report(&mut scene, 1, None, false);
    scene.answer(error(ServerErrorResponseType::BadRequest, None));
    assert_eq!(scene.outcomes(), [(1, &Outcome::HeldBack)]);
    report(&mut scene, 2, None, false);
    assert_eq!(scene.outcomes()[1], (2, &Outcome::HeldBack));
}

#[test]
fn a_report_gives_up_after_its_tries() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    report(&mut scene, 1, Some(2), true);
    for _ in 0..3 {
        assert!(
            scene.outcomes().is_empty(),
            "the try that ran already does not count"
        );
        scene.fail(FailKind::Connect, ReachedServer::No);
        scene.pass(secs(5));
    }
    let [(1, Outcome::GaveUp(failure))] = scene.outcomes()[..] else {
        panic!("{:?}", scene.outcomes())
    };
    assert_eq!(failure.kind, FailKind::Connect);
}

#[test]
fn a_report_ends_with_the_agent() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    report(&mut scene, 1, None, true);
    stop(&mut scene, Duration::ZERO);
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    assert_eq!(scene.outcomes(), [(1, &Outcome::Stopped)]);
    assert_eq!(scene.events.last(), Some(&Event::Stopped));
}
