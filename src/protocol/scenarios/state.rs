//! Status reporting and its compression.
use super::*;

#[test]
fn the_first_message_carries_the_full_state() {
    let mut scene = Scene::of(Policy::Http);
    scene.host(Change::EffectiveConfig(Arc::new(config_map("a: 1"))));
    scene.host(verdict("stored", ConfigState::Applied, ""));
    scene.input(Input::Start);
    let first = scene.last();
    assert_eq!((first.sequence_num, &first.instance_uid[..]), (0, &UID[..]));
    assert_eq!(first.capabilities, CAPABILITIES);
    assert!(first.agent_description.is_some());
    assert!(first.effective_config.is_some());
    let status = first.remote_config_status.as_ref().expect("a status");
    assert_eq!(&status.last_remote_config_hash[..], b"stored");
}

#[test]
fn a_poll_carries_uid_number_and_capabilities_only_and_comes_after_the_interval() {
    let mut scene = Scene::http();
    scene.pass(secs(33));
    let expected = AgentToServer {
        instance_uid: UID.to_vec().into(),
        sequence_num: 1,
        capabilities: CAPABILITIES,
        ..Default::default()
    };
    assert_eq!(scene.sent.len(), 1);
    assert_eq!(*scene.last(), expected);
}

#[test]
fn polls_keep_their_interval_on_average_with_at_most_ten_percent_of_jitter() {
    let mut scene = Scene::http();
    scene.pass_answering(secs(30 * 1000), &ServerToAgent::default());
    let gaps: Vec<_> = scene
        .sent
        .windows(2)
        .map(|pair| pair[1].0.since(pair[0].0))
        .collect();
    assert!(
        gaps.iter()
            .all(|gap| (millis(27_000)..=millis(33_010)).contains(gap))
    );
    assert!((990..=1010).contains(&gaps.len()), "{}", gaps.len());
}

#[test]
fn a_change_leaves_at_once_and_an_equal_value_not_at_all() {
    let mut scene = Scene::http();
    scene.host(Change::Description(description("gateway")));
    assert!(scene.sent.is_empty());
    scene.host(Change::Description(description("router")));
    assert_eq!(
        scene.last().agent_description.as_ref(),
        Some(&*description("router"))
    );
}

#[test]
fn what_changed_during_an_exchange_leaves_right_after_it() {
    let mut scene = Scene::http();
    scene.host(Change::Description(description("one")));
    scene.host(Change::Description(description("two")));
    scene.host(Change::Description(description("three")));
    assert_eq!(scene.sent.len(), 1);
    scene.answer(ServerToAgent::default());
    assert_eq!(scene.sent.len(), 2);
    assert_eq!(
        scene.last().agent_description.as_ref(),
        Some(&*description("three"))
    );
}

#[test]
fn what_was_lost_is_in_the_next_message_in_its_newest_form() {
    let mut scene = Scene::http();
    scene.host(Change::Description(description("one")));
    scene.host(Change::EffectiveConfig(Arc::new(config_map("a: 1"))));
    scene.host(Change::Description(description("two")));
    scene.fail(FailKind::Timeout, ReachedServer::Maybe);
    scene.pass(secs(5));
    assert_eq!(scene.sent.len(), 2);
    assert_eq!(
        scene.last().agent_description.as_ref(),
        Some(&*description("two"))
    );
    assert!(scene.last().effective_config.is_some());
    assert_eq!(
        scene.last().sequence_num,
        2,
        "the lost one may have reached the server"
    );
}

#[test]
fn a_try_of_which_no_byte_left_uses_no_number_up() {
    let mut scene = Scene::of(Policy::Http);
    scene.input(Input::Start);
    for _ in 0..5 {
        assert_eq!(scene.last().sequence_num, 0);
        scene.fail(FailKind::Connect, ReachedServer::No);
        scene.pass(secs(300));
    }
    assert_eq!(scene.sent.len(), 6);
}

#[test]
fn full_state_is_reported_once_per_request_and_ever_more_rarely() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.pass_answering(secs(120), &asks_full_state());
    let full: Vec<_> = scene
        .sent
        .iter()
        .filter(|(_, message)| message.agent_description.is_some())
        .collect();
    assert!(
        (8..=11).contains(&full.len()),
        "{} full reports",
        full.len()
    );
    assert!(
        full[2].0.since(full[0].0) < secs(1),
        "the first three come at once"
    );
    assert!(full[3].0.since(full[2].0) >= secs(1));
    assert_eq!(scene.warnings(), [WarningKind::ServerAsksTooOften]);
    // when the server behaves for a minute, then it is served at once again
    scene.pass_answering(secs(91), &ServerToAgent::default());
    scene.forget();
    scene.host(Change::PollNow);
    scene.answer(asks_full_state());
    assert!(scene.last().agent_description.is_some());
}

#[test]
fn full_state_that_the_host_asks_for_is_complete() {
    let mut scene = Scene::http();
    scene.host(Change::EffectiveConfig(Arc::new(config_map("a: 1"))));
    scene.answer(ServerToAgent::default());
    scene.host(Change::ReportFullState);
    assert!(scene.last().agent_description.is_some() && scene.last().effective_config.is_some());
    scene.answer(ServerToAgent::default());
    assert_eq!(scene.sent.len(), 2);
}

#[test]
fn nothing_is_sent_for_an_undeclared_capability_and_it_is_kept() {
    let mut scene = Scene::http();
    scene.host(Change::Capabilities(Agent::ReportsStatus as u64));
    scene.answer(ServerToAgent::default());
    scene.forget();
    scene.host(Change::EffectiveConfig(Arc::new(config_map("a: 1"))));
    scene.host(verdict("h", ConfigState::Applied, ""));
    assert!(scene.sent.is_empty());
    scene.host(Change::Capabilities(CAPABILITIES));
    let message = scene.last();
    assert_eq!(message.capabilities, CAPABILITIES);
    assert!(message.effective_config.is_some() && message.remote_config_status.is_some());
}

#[test]
fn what_the_server_does_not_accept_is_not_sent_until_it_does() {
    use proto::ServerCapabilities as Server;
    let mut scene = Scene::http();
    let told = |capabilities| ServerToAgent {
        capabilities,
        ..Default::default()
    };
    scene.host(Change::PollNow);
    scene.answer(told(Server::AcceptsStatus as u64));
    scene.host(Change::EffectiveConfig(Arc::new(config_map("a: 1"))));
    scene.host(Change::PollNow);
    assert!(scene.last().effective_config.is_none());
    scene.answer(told(0));
    scene.host(Change::PollNow);
    assert!(
        scene.last().effective_config.is_none(),
        "a zero means: as before"
    );
    scene.answer(told(
        Server::AcceptsStatus as u64 | Server::AcceptsEffectiveConfig as u64,
    ));
    assert!(scene.last().effective_config.is_some());
}

#[test]
fn changes_of_the_host_leave_as_a_burst_and_then_one_a_second() {
    let mut scene = Scene::http();
    scene.pass_answering(secs(60), &ServerToAgent::default());
    scene.forget();
    for flap in 0..1000 {
        scene.host(Change::Description(description(&flap.to_string())));
        scene.pass_answering(millis(10), &ServerToAgent::default());
    }
    // 10 s: the burst of ten and one a second
    assert!(
        (19..=21).contains(&scene.sent.len()),
        "{}",
        scene.sent.len()
    );
    scene.pass_answering(secs(1), &ServerToAgent::default());
    assert_eq!(
        scene.last().agent_description.as_ref(),
        Some(&*description("999"))
    );
    // and verdicts are exempt
    for late in ["1000", "1001"] {
        scene.host(Change::Description(description(late)));
        scene.pass_answering(millis(1), &ServerToAgent::default());
    }
    scene.forget();
    scene.host(verdict("h", ConfigState::Applying, ""));
    assert_eq!(scene.sent.len(), 1);
}

#[test]
fn a_request_over_the_limit_is_held_back_and_the_rest_goes_on() {
    let config = Config {
        send_limit: 500,
        ..Config::new(Policy::Http)
    };
    let mut scene = Scene::with(config, PersistentState::new(UID));
    scene.host(Change::Capabilities(CAPABILITIES));
    scene.host(Change::Description(description("gateway")));
    scene.host(Change::EffectiveConfig(Arc::new(config_map(
        &"x".repeat(600),
    ))));
    scene.input(Input::Start);
    assert!(scene.last().agent_description.is_some() && scene.last().effective_config.is_none());
    assert_eq!(scene.warnings(), [WarningKind::RequestTooLarge]);
    assert!(scene.core.snapshot().held_back.has(Part::EffectiveConfig));
    scene.answer(ServerToAgent::default());
    scene.pass_answering(secs(100), &ServerToAgent::default());
    assert_eq!(scene.sent.len(), 4, "polls go on");
    assert_eq!(scene.warnings().len(), 1);
    scene.host(Change::EffectiveConfig(Arc::new(config_map("small"))));
    assert!(scene.last().effective_config.is_some());
}

#[test]
fn any_number_of_changes_during_an_outage_become_one_message() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.fail(FailKind::Connect, ReachedServer::No);
    scene.forget();
    for count in 0..100 {
        scene.host(Change::Description(description(&count.to_string())));
    }
    assert!(scene.sent.is_empty(), "no change goes through the backoff");
    scene.pass(secs(5));
    scene.answer(ServerToAgent::default());
    assert_eq!(scene.sent.len(), 1);
    assert_eq!(
        scene.last().agent_description.as_ref(),
        Some(&*description("99"))
    );
}

/// [SYNC-28]
#[test]
fn attributes_in_another_order_are_the_same_and_nested_ones_too() {
    use proto::any_value::Value;
    let pair = |key: &str, value| proto::KeyValue {
        key: key.into(),
        value: Some(proto::AnyValue { value: Some(value) }),
    };
    let map = |values| Value::KvlistValue(proto::KeyValueList { values });
    let described = |turn: usize, last: i64| {
        let mut inner = vec![
            pair("a", Value::DoubleValue(f64::NAN)),
            pair("b", Value::IntValue(last)),
        ];
        inner.rotate_left(turn % 2);
        let array = proto::ArrayValue {
            values: vec![proto::AnyValue {
                value: Some(map(inner.clone())),
            }],
        };
        let mut outer = vec![
            pair("service.name", Value::StringValue("x".into())),
            pair("map", map(inner)),
            pair("list", Value::ArrayValue(array)),
        ];
        outer.rotate_left(turn);
        Change::Description(Arc::new(proto::AgentDescription {
            identifying_attributes: outer.clone(),
            non_identifying_attributes: outer,
        }))
    };
    let mut scene = Scene::http();
    scene.host(described(1, 1));
    let keys = scene.last().agent_description.as_ref().map(|it| {
        let keys = it.identifying_attributes.iter();
        keys.map(|pair| pair.key.clone()).collect::<Vec<_>>()
    });
    let in_order = ["map", "list", "service.name"].map(String::from).to_vec();
    assert_eq!(keys, Some(in_order), "as the host set them");
    scene.answer(ServerToAgent::default());
    for turn in 0..3 {
        scene.host(described(turn, 1));
    }
    assert_eq!(scene.sent.len(), 1, "nothing is news");
    scene.host(described(0, 2));
    assert_eq!(scene.sent.len(), 2, "but another value is");
}
