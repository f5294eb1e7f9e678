use super::*;

const FULL: &str = r#"
    every_seconds = 2
    rpo_target_seconds = 600

    [groups.shop]
    rpo_target_seconds = 60

    [codes.disconnected]
    raise_after_seconds = 5

    [[channels]]
    name = "ops"
    minimum_severity = "critical"
    codes = ["rpo_breach", "split_brain_suspected"]
    language = "zh"
    heartbeat_every_seconds = 300

    [channels.webhook]
    url = "https://ops.example.com/hook"
    secret_file = "/etc/bcdr/ops.secret"
"#;

#[test]
fn a_full_configuration_is_read_and_survives_writing() {
    let config: AlertsConfig = toml::from_str(FULL).unwrap();
    assert_eq!(config.rpo_target("shop"), Duration::from_secs(60));
    assert_eq!(config.rpo_target("other"), Duration::from_secs(600));
    let hold = config.settings().holds[&AlertCode::Disconnected];
    assert_eq!(
        (hold.raise, hold.clear),
        (
            Duration::from_secs(5),
            AlertCode::Disconnected.clear_after()
        )
    );
    config.check().unwrap();
    let written = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<AlertsConfig>(&written).unwrap(), config);
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    for (text, named) in [
        ("colour = 1", "colour"),
        ("[codes.on_fire]\nraise_after_seconds = 1", "on_fire"),
        ("[[channels]]\nname = \"a\"\nsms = 1", "sms"),
        (
            "[[channels]]\nname = \"a\"\nminimum_severity = \"info\"",
            "info",
        ),
    ] {
        let error = toml::from_str::<AlertsConfig>(text).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
    for text in [
        "every_seconds = 0",
        "remind_after_hours = 0",
        "[groups.shop]\nrpo_target_seconds = 0",
    ] {
        let config: AlertsConfig = toml::from_str(text).unwrap();
        let error = config.check().unwrap_err().to_string();
        let field = text.split([' ', '\n']).find(|word| word.contains('_'));
        assert!(error.contains(field.unwrap()), "{error}");
    }
}
