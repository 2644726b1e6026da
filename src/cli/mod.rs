//! The command line.

pub mod demo;
pub mod migrate;
pub mod openapi;
pub mod publish;
pub mod serve;
pub mod token;

use crate::app::traces;
use crate::config::{self, Config, LogFormat};
use crate::net::tls;
use crate::telemetry::Logs;
use crate::telemetry::traces::Outgoing;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Wrong usage, or a configuration that can't be used.
const USAGE: u8 = 2;
const FAILED: u8 = 1;

/// Live video in by RTMP, out as fragmented MP4 over WebSocket, one frame at a time.
#[derive(Parser)]
#[command(name = "weir", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a node.
    Serve(Where),
    /// Shows live video at a link: a node of its own, and a clip published to it in a loop.
    Demo(Where),
    /// Publishes an FLV or MP4 file in real time.
    Publish(publish::Arguments),
    /// Prints a viewer token for a stream of this node's database.
    Token {
        #[command(flatten)]
        arguments: token::Arguments,
        #[command(flatten)]
        at: Where,
    },
    /// Applies migrations; with --from, copies a database into the configured one; with --accept-secret, goes on with
    /// another root secret.
    Migrate {
        #[command(flatten)]
        arguments: migrate::Arguments,
        #[command(flatten)]
        at: Where,
    },
    /// Prints the OpenAPI document of the API.
    Openapi,
    /// Prints the effective configuration, secrets masked, and checks it.
    ///
    /// A running node reads it again on SIGHUP (`systemctl reload weir`) and takes on, without touching any session, what
    /// changed of `limits.*`, `tls.*`, `log.filter`, `public_url`, `trusted_proxies` and `drain_timeout`. It names all else
    /// that changed as taking effect at the next start; one that can't be used changes nothing.
    Config(Where),
}

/// Where the configuration comes from; variables (WEIR_...) stand above the file, and --set above both.
#[derive(Args)]
struct Where {
    /// A file in the form of weir.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, for instance --set http.listen=127.0.0.1:8080.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    settings: Vec<(String, String)>,
}

impl Where {
    fn load(&self) -> Result<Config, config::Error> {
        Config::from_process(self.config.as_deref(), &self.settings)
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a setting has the form KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// What a command says when it can't go on: usage and configuration are told from failure.
enum Failure {
    Usage(String),
    Failed(anyhow::Error),
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let is_configuration = error.is::<config::Error>() || error.is::<tls::Error>();
        if is_configuration { Self::Usage(told(&error)) } else { Self::Failed(error) }
    }
}

impl From<migrate::Error> for Failure {
    fn from(error: migrate::Error) -> Self {
        match error {
            migrate::Error::Secret(error) => error.into(),
            error => Self::Failed(error.into()),
        }
    }
}

pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(what)) => {
            say_error(&what);
            ExitCode::from(USAGE)
        }
        Err(Failure::Failed(error)) => {
            say_error(&told(&error));
            ExitCode::from(FAILED)
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(at) => {
            let config = at.load()?;
            let (logs, traces) = start_logs(&config, "info,sqlx=warn,actix_server=warn")?;
            Ok(serve::run(&config, || at.load(), &logs, traces)?)
        }
        Command::Demo(at) => {
            let config = at.load()?;
            let (_logs, traces) = start_logs(&config, "warn")?;
            Ok(demo::run(config, traces)?)
        }
        Command::Publish(arguments) => publish::run(&arguments).map_err(|error| match error {
            publish::Error::Url(_) => Failure::Usage(error.to_string()),
            error => Failure::Failed(error.into()),
        }),
        Command::Token { arguments, at } => {
            say(&token::run(&arguments, &at.load()?).map_err(anyhow::Error::from)?);
            Ok(())
        }
        Command::Migrate { arguments, at } => {
            say(&migrate::run(&arguments, &at.load()?)?);
            Ok(())
        }
        Command::Openapi => {
            say(&openapi::run());
            Ok(())
        }
        Command::Config(at) => {
            let config = at.load()?;
            say(&config.show());
            if let Some(files) = &config.tls {
                tls::Reloading::load(&files.cert, &files.key).map_err(anyhow::Error::from)?;
            }
            Ok(())
        }
    }
}

/// `base` holds where neither the configuration nor `RUST_LOG` says anything.
fn start_logs(config: &Config, base: &'static str) -> Result<(Logs, Option<Outgoing>), Failure> {
    let is_json = match config.log.format {
        LogFormat::Auto => None,
        LogFormat::Text => Some(false),
        LogFormat::Json => Some(true),
    };
    let opened = traces::open(config).map_err(|error| Failure::Usage(told(&error)))?;
    let (layer, outgoing) = opened.unzip();
    Ok((Logs::start(is_json, base, config.log.filter.as_deref(), layer), outgoing))
}

/// The error and its causes, each said once: some say their cause themselves.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// To standard output; a reader that has gone does not matter.
fn say(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn say_error(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "weir: {text}");
}
