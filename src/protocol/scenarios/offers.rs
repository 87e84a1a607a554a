//! Remote configurations and verdicts.
use super::*;

#[test]
fn an_offer_is_delivered_once_and_answered_with_its_hash() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.answer(offer("h1", "a"));
    assert_eq!(*scene.offers()[0].files, config_map("a"));
    scene.forget();
    // the same again before the verdict and after it
    scene.host(Change::PollNow);
    scene.answer(offer("h1", "a"));
    for state in [ConfigState::Applying, ConfigState::Applied] {
        scene.host(verdict("h1", state, ""));
        let status = scene.last().remote_config_status.clone().expect("a status");
        assert_eq!(&status.last_remote_config_hash[..], b"h1");
        scene.answer(offer("h1", "a"));
    }
    assert!(scene.offers().is_empty());
    assert_eq!(scene.sent.len(), 3);
}

#[test]
fn bodies_are_slices_of_what_was_received() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    let bytes = Bytes::from(offer("h1", "some body").encode_to_vec());
    let range = bytes.as_ptr_range();
    scene.fact(Fact::Message(bytes.clone()));
    let body = scene.offers()[0].files.config_map["main.yaml"].body.clone();
    assert!(range.contains(&body.as_ptr()));
    assert!(
        !range.contains(&scene.offers()[0].hash.as_ptr()),
        "a hash pins no message"
    );
}

#[test]
fn an_offer_needs_the_capability() {
    let mut scene = Scene::http();
    scene.host(Change::Capabilities(Agent::ReportsStatus as u64));
    scene.answer(offer("h1", "a"));
    assert!(scene.offers().is_empty());
}

#[test]
fn the_last_applied_offer_is_confirmed_without_the_host() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.answer(offer("h1", "a"));
    scene.host(verdict("h1", ConfigState::Applied, ""));
    scene.answer(offer("h2", "b"));
    scene.host(verdict("h2", ConfigState::Failed, "no such port"));
    scene.forget();
    scene.answer(offer("h1", "a"));
    assert!(scene.offers().is_empty());
    let status = scene.last().remote_config_status.clone().expect("a status");
    assert_eq!(
        (&status.last_remote_config_hash[..], status.status),
        (&b"h1"[..], 1)
    );
    // and the failed one is answered with its failure
    scene.answer(offer("h2", "b"));
    assert!(scene.offers().is_empty());
    let status = scene.last().remote_config_status.clone().expect("a status");
    assert_eq!(
        (&status.error_message[..], status.status),
        ("no such port", 3)
    );
}

#[test]
fn an_older_verdict_does_not_hold_while_the_host_is_busy() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.answer(offer("h1", "a"));
    scene.host(verdict("h1", ConfigState::Applied, ""));
    scene.answer(offer("h2", "b"));
    scene.host(verdict("h2", ConfigState::Applying, ""));
    scene.forget();
    scene.answer(offer("h1", "a"));
    assert_eq!(scene.offers().len(), 1);
}

#[test]
fn a_failed_offer_is_delivered_again_only_if_the_host_wants_it() {
    for redeliver_failed in [false, true] {
        let config = Config {
            redeliver_failed,
            ..Config::new(Policy::Http)
        };
        let mut scene = Scene::with(config, PersistentState::new(UID));
        scene.host(Change::Capabilities(CAPABILITIES));
        scene.input(Input::Start);
        scene.answer(offer("h1", "a"));
        scene.host(verdict("h1", ConfigState::Failed, "no"));
        scene.forget();
        scene.answer(offer("h1", "a"));
        assert_eq!(scene.offers().len(), usize::from(redeliver_failed));
        assert_eq!(scene.sent.len(), 0, "the server knows that verdict already");
    }
}

#[test]
fn an_empty_map_withdraws_all_files() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    let config = proto::AgentRemoteConfig {
        config: None,
        config_hash: Bytes::from_static(b"none"),
    };
    scene.answer(ServerToAgent {
        remote_config: Some(config),
        ..Default::default()
    });
    assert!(scene.offers()[0].files.config_map.is_empty());
}

/// Two servers behind one address that do not agree: each answer brings the other one's offer, for
/// a minute.
fn disagree(scene: &mut Scene, host: impl Fn(&mut Scene, &Bytes)) {
    let mut answers = [offer("h1", "a"), offer("h2", "b")].into_iter().cycle();
    let (end, mut told) = (scene.now + secs(60), 0);
    scene.host(Change::PollNow);
    while scene.now < end && scene.sent.len() < 100 {
        if scene.is_answered {
            scene.pass(scene.wait_for());
            continue;
        }
        scene.now = scene.now + millis(1);
        scene.answer(answers.next().expect("there is always another"));
        let offers: Vec<Bytes> = scene.offers().iter().map(|it| it.hash.clone()).collect();
        for hash in &offers[told..] {
            host(scene, hash);
        }
        told = offers.len();
    }
}

#[test]
fn two_servers_that_do_not_agree_are_answered_ever_more_rarely() {
    for state in [ConfigState::Applied, ConfigState::Failed] {
        // given a host that says its word at once, which no budget of its own holds back
        let mut scene = Scene::http();
        disagree(&mut scene, |scene, hash| {
            let hash = std::str::from_utf8(hash).expect("as given");
            scene.host(verdict(hash, state, ""));
        });
        // then they get a burst, then ever fewer verdicts, and the host hears of it once
        let sent = scene.sent.len();
        assert!((6..=14).contains(&sent), "{state:?}: {sent} messages");
        assert_eq!(scene.warnings(), [WarningKind::ServerAsksTooOften]);
        // what failed is not delivered again
        assert!(
            scene.offers().len()
                <= if state == ConfigState::Failed {
                    2
                } else {
                    sent
                }
        );
        // and the last verdict is told in the end
        let last = scene.core.snapshot().offer.expect("an offer").hash;
        scene.pass_answering(secs(40), &ServerToAgent::default());
        let told = scene.sent.iter().rev();
        let mut told = told.filter_map(|(_, sent)| sent.remote_config_status.as_ref());
        assert_eq!(
            told.next().map(|it| &it.last_remote_config_hash),
            Some(&last)
        );
    }
}

/// RCV-04, RCV-10: texts are as long as a host makes them.
#[test]
fn failed_offers_are_remembered_but_not_without_bound() {
    let mut scene = Scene::http();
    let failing = |scene: &mut Scene, hash: &[u8], text: usize| {
        scene.host(Change::PollNow);
        let mut message = offer("", "a");
        let config = message.remote_config.as_mut().expect("an offer");
        config.config_hash = Bytes::copy_from_slice(hash);
        let before = scene.offers().len();
        scene.answer(message);
        let is_delivered = scene.offers().len() > before;
        if is_delivered {
            let status = RemoteConfigStatus::new(hash, ConfigState::Failed, "n".repeat(text));
            scene.host(Change::RemoteConfigStatus(status.expect("legal")));
        }
        scene.pass_answering(secs(100), &ServerToAgent::default());
        is_delivered
    };
    for hash in 1..=16 {
        assert!(failing(&mut scene, &[hash], 2));
    }
    assert!(!failing(&mut scene, &[1], 2), "the sixteenth-last one");
    for hash in 1..=40 {
        assert!(failing(&mut scene, &[hash; 2], 20_000));
    }
    let kept = scene.core.carry().failed;
    assert_eq!(kept.len(), 3);
    assert!(!failing(&mut scene, &[40; 2], 2), "the last one");
}

/// RCV-15: no verdict can name it, so a late one on an older offer says nothing of what the agent
/// runs.
#[test]
fn after_an_offer_without_a_hash_the_host_gets_an_older_one_again() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.answer(offer("h1", "a"));
    scene.host(verdict("h1", ConfigState::Applying, ""));
    scene.answer(offer("", "b"));
    scene.host(verdict("h1", ConfigState::Applied, ""));
    scene.forget();
    scene.answer(offer("h1", "a"));
    assert_eq!(scene.offers().len(), 1);
}

#[test]
fn an_offer_without_a_hash_is_repeated_within_a_budget() {
    let mut scene = Scene::http();
    scene.host(Change::Interval(millis(100)));
    scene.pass_answering(secs(60), &offer("", "a"));
    let delivered = scene.offers().len();
    assert!(
        (6..=9).contains(&delivered),
        "{delivered} of {}",
        scene.sent.len()
    );
    let repeated = scene.offers().len();
    scene.pass_answering(millis(111), &offer("", "b"));
    assert_eq!(scene.offers().len(), repeated + 1, "another one is news");
}

#[test]
fn applying_without_end_becomes_failed() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.answer(offer("h1", "a"));
    scene.host(verdict("h1", ConfigState::Applying, ""));
    scene.pass_answering(secs(601), &ServerToAgent::default());
    assert_eq!(scene.warnings(), [WarningKind::ApplyingOverdue]);
    let failed = scene
        .sent
        .iter()
        .filter_map(|(_, sent)| sent.remote_config_status.as_ref());
    assert!(failed.last().is_some_and(|status| status.status == 3));
    // but the host's late word is taken
    scene.host(verdict("h1", ConfigState::Applied, ""));
    assert_eq!(
        scene
            .last()
            .remote_config_status
            .as_ref()
            .map(|status| status.status),
        Some(1)
    );
}

#[test]
fn an_unanswered_offer_is_not_answered_for_the_host() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.answer(offer("h1", "a"));
    scene.pass_answering(secs(3600), &offer("h1", "a"));
    assert_eq!(scene.warnings(), [WarningKind::OfferUnanswered]);
    assert!(
        scene
            .sent
            .iter()
            .all(|(_, sent)| sent.remote_config_status.is_none())
    );
    let unanswered = scene.core.snapshot().offer.expect("an offer");
    assert_eq!(
        (&unanswered.hash[..], unanswered.state),
        (&b"h1"[..], ConfigState::Unset)
    );
}

#[test]
fn an_offer_of_too_many_files_fails() {
    let config = Config {
        offer_files_limit: 0,
        ..Config::new(Policy::Http)
    };
    let mut scene = Scene::with(config, PersistentState::new(UID));
    scene.host(Change::Capabilities(CAPABILITIES));
    scene.input(Input::Start);
    scene.answer(offer("h1", "a"));
    assert!(scene.offers().is_empty());
    assert_eq!(scene.warnings(), [WarningKind::OfferTooLarge]);
    let status = scene.last().remote_config_status.clone().expect("a status");
    assert_eq!(status.error_message, "1 files, the limit is 0");
}

#[test]
fn a_verdict_for_a_forgotten_offer_is_ignored() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.answer(offer("h1", "a"));
    scene.host(Change::PollNow);
    scene.answer(offer("h2", "b"));
    scene.forget();
    scene.host(verdict("h1", ConfigState::Applied, ""));
    assert!(scene.sent.is_empty());
    scene.host(verdict("h2", ConfigState::Applied, ""));
    assert_eq!(scene.sent.len(), 1);
}

#[test]
fn statuses_follow_their_rules() {
    use ConfigState::*;
    for state in [Applied, Applying, Failed] {
        assert_eq!(
            RemoteConfigStatus::new(b"", state, String::new()),
            Err(StatusError::NoHash)
        );
    }
    for state in [Applied, Applying, Unset] {
        let refused = RemoteConfigStatus::new(b"h", state, "why".into());
        assert_eq!(refused, Err(StatusError::ErrorWithoutFailure));
    }
    assert!(RemoteConfigStatus::new(b"", Unset, String::new()).is_ok());
    assert!(RemoteConfigStatus::new(b"h", Failed, "why".into()).is_ok());
}
