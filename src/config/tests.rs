use super::*;
use std::os::unix::fs::PermissionsExt as _;

const LONG: &str = "0123456789abcdef0123456789abcdef";

fn parse(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, Error> {
    let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect::<Vec<_>>();
    Config::parse(&file.parse().unwrap(), owned(environment).into_iter(), &owned(flags), "host-1")
}

fn refusal(file: &str, environment: &[(&str, &str)]) -> String {
    parse(file, environment, &[]).unwrap_err().to_string()
}

#[test]
fn with_nothing_said_it_is_one_node_on_sqlite() {
    let config = parse("", &[], &[]).unwrap();
    assert_eq!(config.http.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(config.rtmp.listen.to_string(), "0.0.0.0:1935");
    assert_eq!(config.internal.listen.to_string(), "127.0.0.1:9900");
    assert_eq!(config.database.url, DatabaseUrl::Sqlite("data/weir.db".into()));
    assert_eq!((config.node.id.as_str(), config.node.url), ("host-1", None));
    assert_eq!(config.drain_timeout, Duration::from_secs(30));
    assert!(config.redis.url.is_none() && config.tls.is_none() && config.secret.is_none());
}

#[test]
fn variables_go_over_the_file_and_flags_over_both() {
    let file = "drain_timeout = '5s'\n[http]\nlisten = '127.0.0.1:1'\n[limits]\nfailed_tries = 3\n";
    let config = parse(file, &[("WEIR_HTTP_LISTEN", "127.0.0.1:2")], &[]).unwrap();
    assert_eq!(config.http.listen.port(), 2);
    assert_eq!((config.drain_timeout, config.limits.failed_tries), (Duration::from_secs(5), 3));
    let config = parse(file, &[("WEIR_HTTP_LISTEN", "127.0.0.1:2")], &[("http.listen", "127.0.0.1:3")]).unwrap();
    assert_eq!(config.http.listen.port(), 3);
}

#[test]
fn an_unknown_key_is_refused_by_name_with_those_known() {
    let text = refusal("[http]\nlisen = '127.0.0.1:1'", &[]);
    assert!(
        text.starts_with("`http.lisen` in the configuration file is unknown; known are data_dir, secret"),
        "{text}"
    );
    let text = refusal("", &[("WEIR_HTTP_PORT", "1")]);
    assert!(text.starts_with("the variable WEIR_HTTP_PORT is unknown; known are WEIR_DATA_DIR, WEIR_SECRET"), "{text}");
    assert!(parse("", &[("HOME", "/root"), ("WEIR_CORPUS", "/x")], &[]).is_ok());
}

#[test]
fn a_bad_value_is_refused_with_key_value_and_what_is_allowed() {
    let text = refusal("", &[("WEIR_DRAIN_TIMEOUT", "30")]);
    let expected = "the variable WEIR_DRAIN_TIMEOUT is `30`; allowed is a time with its unit, such as 500ms, 30s or 5m";
    assert_eq!(text, expected);
    for (name, value) in [
        ("WEIR_HTTP_LISTEN", "8080"),
        ("WEIR_DATABASE_URL", "mysql://x"),
        ("WEIR_DATABASE_URL", "sqlite://"),
        ("WEIR_REDIS_URL", "http://x"),
        ("WEIR_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("WEIR_PUBLIC_URL", "live.example.com"),
        ("WEIR_LIMITS_OUTBOX_BYTES", "0"),
        ("WEIR_LIMITS_OUTBOX_BYTES", "1TB"),
        ("WEIR_LOG_FORMAT", "yaml"),
        ("WEIR_LOG_FILTER", "loud"),
        ("WEIR_LOG_FILTER", "weir=debug,"),
        ("WEIR_LOG_FILTER", "weir[span]=debug"),
        ("WEIR_NODE_ID", "a b"),
    ] {
        let text = refusal("", &[(name, value)]);
        assert!(text.contains(name) && text.contains(value) && text.contains("allowed is"), "{text}");
    }
}

#[test]
fn secrets_are_long_and_never_shown() {
    let short = &LONG[1..];
    for name in ["WEIR_SECRET", "WEIR_ADMIN_KEY"] {
        let text = refusal("", &[(name, short)]);
        assert!(text.contains(name) && text.contains("32") && !text.contains(short), "{text}");
    }
    let text = refusal("", &[("WEIR_REDIS_URL", "http://user:hunter2@redis")]);
    assert!(!text.contains("hunter2"), "{text}");

    let environment = [
        ("WEIR_SECRET", LONG),
        ("WEIR_ADMIN_KEY", LONG),
        ("WEIR_DATABASE_URL", "postgres://weir:hunter2@db/weir"),
        ("WEIR_REDIS_URL", "redis://:hunter2@redis:6379"),
    ];
    let config = parse("", &environment, &[]).unwrap();
    for shown in [config.show(), format!("{config:?}")] {
        assert!(!shown.contains(LONG) && !shown.contains("hunter2"), "{shown}");
    }
    assert!(config.show().contains("url = \"postgres://weir:***@db/weir\""), "{}", config.show());
}

#[test]
fn what_is_shown_can_be_read_back() {
    let environment = [("WEIR_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.7"), ("WEIR_LIMITS_BACKLOG_BYTES", "8MiB")];
    let config = parse("", &environment, &[]).unwrap();
    assert_eq!(config.trusted_proxies.len(), 2);
    assert_eq!(config.limits.backlog_bytes, 8 << 20);
    let again = parse(&config.show(), &[], &[]).unwrap();
    assert_eq!(again.show(), config.show());
}

#[test]
fn a_certificate_needs_its_key_and_a_cluster_its_secret() {
    assert!(refusal("", &[("WEIR_TLS_CERT", "/c.pem")]).contains("`tls.cert` and `tls.key`"));
    assert!(refusal("", &[("WEIR_REDIS_URL", "redis://redis")]).contains("WEIR_SECRET"));
    let without_database = [("WEIR_REDIS_URL", "redis://redis"), ("WEIR_SECRET", LONG)];
    assert!(refusal("", &without_database).contains("WEIR_DATABASE_URL"));
    let in_cluster = [&without_database[..], &[("WEIR_DATABASE_URL", "postgres://db/weir")]].concat();
    assert!(parse("", &in_cluster, &[]).is_ok());
    let everywhere = [&in_cluster[..], &[("WEIR_INTERNAL_LISTEN", "0.0.0.0:9900")]].concat();
    assert!(refusal("", &everywhere).contains("WEIR_NODE_URL"));
    let both = parse("", &[("WEIR_TLS_CERT", "/c.pem"), ("WEIR_TLS_KEY", "/k.pem")], &[]).unwrap();
    assert_eq!(both.tls.unwrap().key, PathBuf::from("/k.pem"));
}

#[test]
fn an_empty_variable_is_as_if_it_were_not_there() {
    assert!(parse("", &[("WEIR_REDIS_URL", "")], &[]).unwrap().redis.url.is_none());
}

#[test]
fn the_data_folder_moves_the_database_with_it() {
    let config = parse("", &[("WEIR_DATA_DIR", "/var/lib/weir")], &[]).unwrap();
    assert_eq!(config.database.url, DatabaseUrl::Sqlite("/var/lib/weir/weir.db".into()));
    let url = parse("", &[("WEIR_DATABASE_URL", "sqlite:///tmp/x.db")], &[]).unwrap().database.url;
    assert_eq!(url, DatabaseUrl::Sqlite("/tmp/x.db".into()));
}

#[test]
fn a_named_file_must_be_there_and_be_toml() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.toml");
    let load = || Config::load(Some(&path), std::iter::empty(), &[]).map_err(|error| error.to_string());
    assert!(load().unwrap_err().contains("weir.toml"));
    std::fs::write(&path, "[http\n").unwrap();
    assert!(load().unwrap_err().contains("weir.toml"));
    std::fs::write(&path, "[http]\nlisten = '127.0.0.1:7'\n").unwrap();
    assert_eq!(load().unwrap().http.listen.port(), 7);
}

#[test]
fn the_root_secret_is_made_once_and_kept_private() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let config = parse("", &[("WEIR_DATA_DIR", data_dir.to_str().unwrap())], &[]).unwrap();
    let made = config.root_secret([7; 32]).unwrap();
    assert_eq!(made.reveal(), "07".repeat(32));
    assert_eq!(config.root_secret([8; 32]).unwrap(), made);
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(data_dir.join("secret")), 0o600);
    assert_eq!(std::fs::read_dir(&data_dir).unwrap().count(), 1, "nothing else is left");

    std::fs::write(data_dir.join("secret"), "short\n").unwrap();
    assert!(config.root_secret([8; 32]).unwrap_err().to_string().contains("at least 32"));
    let said = parse("", &[("WEIR_SECRET", LONG)], &[]).unwrap();
    assert_eq!(said.root_secret([8; 32]).unwrap().reveal(), LONG);
}

#[test]
fn times_and_sizes_have_units() {
    assert_eq!(value::duration("250ms"), Some(Duration::from_millis(250)));
    assert_eq!(value::duration("2d"), Some(Duration::from_secs(172_800)));
    for text in ["", "s", "1", "-1s", "1.5s", "1 s", "99999999999999999999s", "18446744073709551615d"] {
        assert_eq!(value::duration(text), None, "{text}");
    }
    assert_eq!(value::bytes("256KiB"), Some(262_144));
}

#[test]
fn what_may_change_while_a_node_runs_does_and_the_rest_is_named() {
    let running = parse("[limits]\napi_rate = 5\n[http]\nlisten = '127.0.0.1:1'\n", &[], &[]).unwrap();
    let file = "public_url = 'https://a.example'\ntrusted_proxies = ['10.0.0.0/8']\ndrain_timeout = '9s'\n\
        [limits]\nfailed_tries = 3\n[log]\nfilter = 'warn,weir::rtmp=debug'\nformat = 'json'\n[http]\nlisten = '127.0.0.1:2'\n";
    let read = parse(file, &[("WEIR_SECRET", LONG)], &[]).unwrap();
    let reload = running.reload(&read);
    let now =
        ["public_url", "trusted_proxies", "drain_timeout", "limits.api_rate", "limits.failed_tries", "log.filter"];
    assert_eq!(reload.now, now);
    assert_eq!(reload.at_start, ["secret", "http.listen", "log.format"]);
    assert_eq!((reload.config.limits.api_rate, reload.config.limits.failed_tries), (300, 3));
    assert_eq!((reload.config.http.listen.port(), &reload.config.secret), (1, &None));

    let again = reload.config.reload(&read);
    assert_eq!((again.now, again.at_start), (vec![], vec!["secret", "http.listen", "log.format"]));
}

#[test]
fn a_secret_that_changed_is_named_and_not_shown() {
    let with = |secret: &str| parse("", &[("WEIR_SECRET", secret)], &[]).unwrap();
    let (one, other) = (with(LONG), with(&LONG.replace('0', "9")));
    assert_eq!(one.reload(&other).at_start, ["secret"]);
    assert!(!format!("{:?}", one.reload(&other)).contains(&LONG[1..]));
    let database =
        |password: &str| parse(&format!("[database]\nurl = 'postgres://weir:{password}@db/weir'"), &[], &[]).unwrap();
    assert_eq!(database("a").reload(&database("b")).at_start, ["database.url"]);
}

#[test]
fn a_certificate_may_move_but_not_come_or_go() {
    let with = |paths: Option<&str>| {
        let file = paths.map_or(String::new(), |name| format!("[tls]\ncert = '{name}.pem'\nkey = '{name}.key'\n"));
        parse(&file, &[], &[]).unwrap()
    };
    let moved = with(Some("a")).reload(&with(Some("b")));
    assert_eq!((moved.now, moved.at_start), (vec!["tls.cert", "tls.key"], vec![]));
    for (from, to) in [(None, Some("a")), (Some("a"), None)] {
        let reload = with(from).reload(&with(to));
        assert_eq!((reload.now, reload.at_start), (vec![], vec!["tls.cert", "tls.key"]));
        assert_eq!(reload.config.tls.is_some(), from.is_some());
    }
}
