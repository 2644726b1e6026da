//! How values are written.

use std::time::Duration;

/// Every setting in a file as dotted key and text; lists as their parts with commas between.
pub(super) fn flatten(table: &toml::Table) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    walk("", table, &mut settings);
    settings
}

fn walk(section: &str, table: &toml::Table, settings: &mut Vec<(String, String)>) {
    for (name, value) in table {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        match value {
            toml::Value::Table(inner) => walk(&key, inner, settings),
            other => settings.push((key, text(other))),
        }
    }
}

fn text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// `250ms`, `30s`, `5m`, `1h`, `2d`; a unit is needed.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_ms).map(Duration::from_millis)
}

pub(super) fn show_duration(time: Duration) -> String {
    let ms = time.as_millis();
    if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") }
}

/// `262144`, `256KiB`, `32MiB`.
pub(super) fn bytes(text: &str) -> Option<usize> {
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let unit = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(unit).filter(|bytes| *bytes > 0)
}

/// An address with one of these schemes and a host; without the slash at its end.
pub(super) fn base<'a>(text: &'a str, schemes: &[&str]) -> Option<&'a str> {
    let (scheme, rest) = text.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = !host.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    (plain && schemes.contains(&scheme)).then(|| text.trim_end_matches('/'))
}

/// The address with the password that it holds masked.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "..".to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, host)) = authority.rsplit_once('@') else { return masked_query(url) };
    let user = user.split(':').next().unwrap_or_default();
    masked_query(&format!("{scheme}://{user}:***@{host}{}", &rest[authority.len()..]))
}

/// What follows `?` may hold a password as well.
fn masked_query(url: &str) -> String {
    match url.split_once('?') {
        Some((base, query)) if query.contains("password") => format!("{base}?***"),
        _ => url.to_owned(),
    }
}
