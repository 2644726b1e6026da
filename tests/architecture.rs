//! The import table, the list of shells and the size ceiling of `src/lib.rs`, checked.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What the files of a room, or one file, may name of the crate. The longest matching prefix counts.
const IMPORTS: &[(&str, &[&str])] = &[
    ("id", &[]),
    ("clock", &[]),
    ("config", &["net"]),
    ("telemetry", &["config", "telemetry"]),
    ("media/", &["media"]),
    ("rtmp/", &["rtmp", "media"]),
    (
        "rtmp/server",
        &[
            "rtmp",
            "media",
            "stream",
            "auth",
            "store",
            "cluster",
            "net",
            "clock",
            "config",
            "id",
            "telemetry",
            "tenancy",
        ],
    ),
    ("stream/", &["stream", "media", "id"]),
    ("stream/actor", &["stream", "media", "id", "clock", "telemetry"]),
    ("stream/registry", &["stream", "id", "clock", "telemetry"]),
    ("stream/tally", &["telemetry"]),
    (
        "session/",
        &[
            "session",
            "stream",
            "auth",
            "net",
            "store",
            "cluster",
            "clock",
            "config",
            "id",
            "telemetry",
            "tenancy",
            "media::fragment",
            "media::frame",
        ],
    ),
    (
        "relay/",
        &[
            "relay",
            "stream",
            "cluster",
            "net",
            "clock",
            "id",
            "telemetry",
            "media::Error",
            "media::fmp4",
            "media::fragment",
            "media::frame",
        ],
    ),
    ("pages", &["session::route", "session::admission", "store", "id", "net"]),
    ("tenancy", &["store", "stream", "config"]),
    ("store/", &["store", "auth", "clock", "config", "id"]),
    ("cluster/", &["cluster", "store", "auth", "clock", "config", "id"]),
    ("auth/", &["auth", "clock", "config", "id"]),
    ("hooks/", &["hooks", "store", "auth", "net", "clock", "config", "id"]),
    ("net/", &["net", "clock", "config", "telemetry"]),
    (
        "api/",
        &[
            "api",
            "stream",
            "store",
            "cluster",
            "auth",
            "hooks",
            "net",
            "clock",
            "config",
            "id",
            "telemetry",
            "media::frame",
            "media::fragment",
        ],
    ),
    ("app", &["*"]),
    ("main", &["*"]),
    ("lib", &["*"]),
    ("cli/", &["*"]),
];

/// Files that may name a runtime, a database or a clock; all others are pure.
const SHELLS: &[&str] = &[
    "main",
    "app",
    "clock",
    "pages",
    "telemetry",
    "api/",
    "cli/",
    "hooks/",
    "net/",
    "rtmp/server",
    "relay/client",
    "relay/following",
    "relay/server",
    "stream/actor",
    "stream/registry",
    "stream/mailbox",
    "stream/tally",
    "session/reads",
    "session/mailbox",
    "session/hub",
    "session/fan",
    "session/viewer",
    "session/worker",
    "session/inbound",
    "session/actor",
    "session/route",
    "session/admission",
    "store/postgres",
    "store/sqlite",
    "store/sql",
    "cluster/redis",
    "cluster/peers",
];

const RUNTIMES: &[&str] =
    &["actix", "tokio", "sqlx", "redis", "futures_util", "socket2", "tracing", "prometheus_client"];

/// Crates that one place contains, so that leaving them touches that place only.
const CONTAINED: &[(&str, &[&str])] = &[
    ("sqlx", &["store/postgres", "store/sqlite", "store/sql"]),
    ("jsonwebtoken", &["auth/token", "auth/node"]),
    ("redis", &["cluster/redis"]),
    // `media/fmp4` calls mp4-atom so.
    ("mp4", &["cli/publish", "media/fmp4"]),
    ("mp4_atom", &["cli/publish", "media/fmp4"]),
    ("actix_web_actors", &["session/route"]),
    ("tokio_tungstenite", &["relay/client"]),
    ("opentelemetry", &["telemetry/traces", "app/traces"]),
    ("opentelemetry_sdk", &["telemetry/traces", "app/traces"]),
    ("opentelemetry_otlp", &["telemetry/traces"]),
    ("opentelemetry_http", &["telemetry/traces", "app/traces"]),
    ("tracing_opentelemetry", &["telemetry/traces"]),
];

const LINES_MAX: usize = 500;
const ACTOR_LINES_MAX: usize = 150;

struct File {
    /// Below `src`, without `.rs`; `mod` stands for its folder.
    name: String,
    /// Without tests.
    code: String,
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(&path).expect("src is readable").map(|e| e.expect("src is readable").path()));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(read(&root, path));
        }
    }
    assert!(files.len() > 20, "the tree was not found");
    files.retain(|f| !f.name.ends_with("tests"));
    files
}

fn read(root: &Path, path: PathBuf) -> File {
    let text = fs::read_to_string(&path).expect("a source file is readable");
    let name = path.strip_prefix(root).expect("below src").with_extension("").display().to_string();
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
    File { name, code }
}

/// The value of the longest prefix of `name` in `table`.
fn rule<'a, T>(table: &'a [(&str, T)], name: &str) -> Option<&'a T> {
    table.iter().filter(|(prefix, _)| name.starts_with(prefix)).max_by_key(|(prefix, _)| prefix.len()).map(|(_, v)| v)
}

fn is_shell(name: &str) -> bool {
    SHELLS.iter().any(|shell| name.starts_with(shell))
}

/// Lines of code, comments and blank lines left out.
fn statements(file: &File) -> impl Iterator<Item = &str> {
    file.code.lines().map(str::trim_start).filter(|line| !line.starts_with("//"))
}

/// The paths that follow each `crate::`, braces resolved one level deep.
fn crate_paths(code: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let end = list.find("};").unwrap_or(list.len());
            let mut depth = 0;
            let mut item = String::new();
            for c in list[..end].chars().chain([',']) {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        paths.insert(std::mem::take(&mut item).trim().to_owned());
                        continue;
                    }
                    _ => {}
                }
                item.push(c);
            }
        } else {
            paths.insert(rest.chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect());
        }
    }
    paths.retain(|p| !p.is_empty());
    paths
}

#[test]
fn each_file_imports_what_its_room_may() {
    let mut faults = Vec::new();
    for file in files() {
        let code: String = statements(&file).collect::<Vec<_>>().join("\n");
        let Some(allowed) = rule(IMPORTS, &file.name) else {
            faults.push(format!("{}: no room in the table", file.name));
            continue;
        };
        for path in crate_paths(&code) {
            let is_allowed = allowed
                .iter()
                .any(|a| *a == "*" || path == *a || path.strip_prefix(a).is_some_and(|rest| rest.starts_with("::")));
            if !is_allowed {
                faults.push(format!("{}: may not name crate::{path}", file.name));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn only_shells_name_a_runtime() {
    let mut faults = Vec::new();
    for file in files().iter().filter(|f| !is_shell(&f.name)) {
        for line in statements(file) {
            let names = |crate_name: &&&str| {
                line.match_indices(**crate_name).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    let after = &line[at + crate_name.len()..];
                    let is_start = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':' && c != '"');
                    let rest = after.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
                    is_start && rest.starts_with("::")
                })
            };
            if let Some(runtime) = RUNTIMES.iter().find(names) {
                faults.push(format!("{}: names {runtime}: {line}", file.name));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn contained_crates_stay_where_they_are() {
    let mut faults = Vec::new();
    for file in files() {
        for (name, places) in CONTAINED {
            let names = |line: &str| {
                line.starts_with(&format!("use {name}::"))
                    || [" ", "(", "<", "&"].iter().any(|before| line.contains(&format!("{before}{name}::")))
            };
            if statements(&file).any(names) && !places.iter().any(|p| file.name.starts_with(p)) {
                faults.push(format!("{}: names {name}", file.name));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn files_stay_small() {
    let mut faults = Vec::new();
    for file in files() {
        let lines = file.code.lines().count();
        let is_actor = file.name.ends_with("/actor") || file.name.ends_with("/hub");
        let most = if is_actor { ACTOR_LINES_MAX } else { LINES_MAX };
        if lines > most {
            faults.push(format!("{}: {lines} lines, at most {most}", file.name));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_architecture_page_names_each_room() {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs is readable");
    let rooms: BTreeSet<String> =
        files().iter().filter_map(|f| Some(format!("{}/", f.name.split_once('/')?.0))).collect();
    let missing: Vec<_> = rooms.iter().filter(|room| !page.contains(&format!("//! {room}"))).collect();
    assert!(missing.is_empty(), "src/lib.rs does not tell of {missing:?}");
}
