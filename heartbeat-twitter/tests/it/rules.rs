//! The rules by which X picks posts.

use heartbeat_core::ErrorKind;
use heartbeat_twitter::{Change, Rule, RuleAdmin};
use serde_json::{Value, json};

use crate::X;

fn set(x: &X, rules: &[(&str, &str)]) {
    let rule = |(index, (tag, value)): (usize, &(&str, &str))| json!({"id": index.to_string(), "value": value, "tag": tag});
    x.seen().rules = rules.iter().enumerate().map(rule).collect();
}

fn pairs(rules: &[Rule]) -> Vec<(&str, &str)> {
    let mut pairs = Vec::new();
    for Rule { tag, value, .. } in rules {
        pairs.push((tag.as_deref().unwrap_or_default(), value.as_str()));
    }
    pairs
}

#[tokio::test]
async fn x_gets_the_wanted_rules_by_the_fewest_changes() {
    for (before, wanted, requests) in [
        (vec![], vec![("A", "a"), ("B", "b")], 2),
        (
            vec![("A", "a"), ("B", "b")],
            vec![("A", "a"), ("B", "b")],
            0,
        ),
        (
            vec![("A", "a"), ("X", "x"), ("B", "b")],
            vec![("A", "a"), ("B", "b")],
            1,
        ),
        // A value is there once: its old tag has to go first.
        (
            vec![("A", "a"), ("B", "b")],
            vec![("C", "a"), ("B", "b"), ("D", "d")],
            3,
        ),
        (vec![("A", "a")], vec![], 1),
    ] {
        let x = X::new([]).await;
        set(&x, &before);
        let admin = RuleAdmin::connect(&x.config()).await.unwrap();
        let wanted: Vec<Rule> = wanted
            .into_iter()
            .map(|(tag, value)| Rule::new(tag, value))
            .collect();
        let change = Change::between(&admin.list().await.unwrap(), &wanted);
        assert_eq!(change.is_empty(), requests == 0);
        admin.apply(&change).await.unwrap();
        let mut expected = pairs(&wanted);
        expected.sort_unstable();
        let found = admin.list().await.unwrap();
        assert_eq!(pairs(&found), expected);
        assert_eq!(x.seen().changes.len(), requests, "{:?}", x.seen().changes);
        assert!(Change::between(&found, &wanted).is_empty());
    }
}

#[tokio::test]
async fn a_rule_that_is_none_is_told_and_nothing_is_changed() {
    let x = X::new([]).await;
    set(&x, &[("A", "a")]);
    let admin = RuleAdmin::connect(&x.config()).await.unwrap();
    let wanted = [Rule::new("B", "b"), Rule::new("C", "(cat")];
    let verdicts = admin.test(&wanted).await.unwrap();
    assert!(verdicts[0].problem.is_none());
    assert!(
        verdicts[1]
            .problem
            .as_deref()
            .unwrap()
            .contains("no viable alternative")
    );
    let there = admin.test(&[Rule::new("A", "a")]).await.unwrap();
    assert!(there[0].problem.is_none(), "{there:?}");

    let change = Change::between(&admin.list().await.unwrap(), &wanted);
    let error = admin.apply(&change).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    let text = error.to_string();
    assert!(
        text.contains("task C, rule (cat") && text.contains("no viable alternative"),
        "{text}"
    );
    assert_eq!(
        x.seen().rules,
        [json!({"id": "0", "value": "a", "tag": "A"})]
    );
    let is_dry = |(query, _): &(String, Value)| query == "dry_run=true";
    assert!(x.seen().changes.iter().all(is_dry));

    for (wanted, says) in [
        (vec![Rule::new("A", "x".repeat(1025))], "1025 characters"),
        (
            vec![Rule::new("A", "same"), Rule::new("B", "same")],
            "two tasks have one rule",
        ),
        (
            (0..1001)
                .map(|index| Rule::new("A", index.to_string()))
                .collect(),
            "1,000 rules",
        ),
    ] {
        let change = Change::between(&[], &wanted);
        let error = admin.apply(&change).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn where_there_is_no_room_for_both_old_rules_go_first() {
    let x = X::new([]).await;
    let names: Vec<String> = (0..1000).map(|index| format!("r{index}")).collect();
    let before: Vec<(&str, &str)> = names.iter().map(|name| ("T", name.as_str())).collect();
    set(&x, &before);
    let admin = RuleAdmin::connect(&x.config()).await.unwrap();
    let wanted: Vec<Rule> = (1..=1000)
        .map(|index| Rule::new("T", format!("r{index}")))
        .collect();
    let change = Change::between(&admin.list().await.unwrap(), &wanted);
    assert_eq!(
        (change.add.len(), change.remove.len(), change.kept),
        (1, 1, 999)
    );
    admin.apply(&change).await.unwrap();
    let seen = x.seen();
    let kinds: Vec<bool> = seen
        .changes
        .iter()
        .map(|(_, change)| change["add"].is_array())
        .collect();
    assert_eq!(kinds, [true, false, true]);
    assert_eq!(seen.rules.len(), 1000);
}
