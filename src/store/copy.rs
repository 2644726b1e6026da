//! A whole database, row by row, for one that moves from SQLite to PostgreSQL or back.

use super::Result;
use async_trait::async_trait;

/// Rows read at once.
pub(super) const BATCH: i64 = 500;

/// Every table, those that others refer to first. The first column is the key by which it is read.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "tenants",
        columns: &[
            ("id", Kind::Text),
            ("name", Kind::Text),
            ("quota_streams", Kind::Number),
            ("quota_viewers", Kind::Number),
            ("quota_ingest_bps", Kind::Number),
            ("quota_egress_bps", Kind::Number),
            ("disabled_us", Kind::Number),
            ("revision", Kind::Number),
            ("created_us", Kind::Number),
            ("updated_us", Kind::Number),
        ],
    },
    Table {
        name: "streams",
        columns: &[
            ("id", Kind::Text),
            ("tenant_id", Kind::Text),
            ("playback_id", Kind::Text),
            ("name", Kind::Text),
            ("policy", Kind::Text),
            ("second_publisher", Kind::Text),
            ("reconnect_window_s", Kind::Number),
            ("latency_target_ms", Kind::Number),
            ("allowed_origins", Kind::Text),
            ("labels", Kind::Text),
            ("origin_us", Kind::Number),
            ("fence_next", Kind::Number),
            ("fence", Kind::Number),
            ("revision", Kind::Number),
            ("created_us", Kind::Number),
            ("updated_us", Kind::Number),
        ],
    },
    Table {
        name: "stream_keys",
        columns: &[
            ("id", Kind::Text),
            ("stream_id", Kind::Text),
            ("prefix", Kind::Text),
            ("hash", Kind::Bytes),
            ("created_us", Kind::Number),
            ("last_used_us", Kind::Number),
        ],
    },
    Table {
        name: "signing_keys",
        columns: &[
            ("id", Kind::Text),
            ("tenant_id", Kind::Text),
            ("kid", Kind::Text),
            ("algorithm", Kind::Text),
            ("sealed", Kind::Bytes),
            ("public_key", Kind::Text),
            ("created_us", Kind::Number),
        ],
    },
    Table {
        name: "key_sets",
        columns: &[
            ("id", Kind::Text),
            ("tenant_id", Kind::Text),
            ("url", Kind::Text),
            ("keys", Kind::Text),
            ("fetched_us", Kind::Number),
            ("error", Kind::Text),
            ("next_us", Kind::Number),
            ("created_us", Kind::Number),
        ],
    },
    Table {
        name: "api_keys",
        columns: &[
            ("id", Kind::Text),
            ("tenant_id", Kind::Text),
            ("role", Kind::Text),
            ("name", Kind::Text),
            ("prefix", Kind::Text),
            ("hash", Kind::Bytes),
            ("created_us", Kind::Number),
            ("last_used_us", Kind::Number),
        ],
    },
    Table {
        name: "webhooks",
        columns: &[
            ("id", Kind::Text),
            ("tenant_id", Kind::Text),
            ("url", Kind::Text),
            ("events", Kind::Text),
            ("sealed", Kind::Bytes),
            ("disabled_us", Kind::Number),
            ("failing_us", Kind::Number),
            ("revision", Kind::Number),
            ("created_us", Kind::Number),
            ("updated_us", Kind::Number),
        ],
    },
    Table {
        name: "events",
        columns: &[
            ("id", Kind::Text),
            ("tenant_id", Kind::Text),
            ("stream_id", Kind::Text),
            ("name", Kind::Text),
            ("payload", Kind::Text),
            ("at_us", Kind::Number),
        ],
    },
    Table {
        name: "deliveries",
        columns: &[
            ("id", Kind::Text),
            ("webhook_id", Kind::Text),
            ("event_id", Kind::Text),
            ("event", Kind::Text),
            ("payload", Kind::Text),
            ("state", Kind::Text),
            ("attempts", Kind::Number),
            ("next_us", Kind::Number),
            ("status", Kind::Number),
            ("error", Kind::Text),
            ("created_us", Kind::Number),
            ("updated_us", Kind::Number),
        ],
    },
    Table {
        name: "usage",
        columns: &[
            ("id", Kind::Text),
            ("tenant_id", Kind::Text),
            ("hour_us", Kind::Number),
            ("ingest_bytes", Kind::Number),
            ("egress_bytes", Kind::Number),
            ("viewer_seconds", Kind::Number),
        ],
    },
    Table {
        name: "replays",
        columns: &[
            ("id", Kind::Text),
            ("request", Kind::Text),
            ("status", Kind::Number),
            ("body", Kind::Text),
            ("at_us", Kind::Number),
        ],
    },
    Table {
        name: "users",
        columns: &[
            ("id", Kind::Text),
            ("login", Kind::Text),
            ("name", Kind::Text),
            ("password", Kind::Text),
            ("revision", Kind::Number),
            ("created_us", Kind::Number),
            ("updated_us", Kind::Number),
            ("signed_in_us", Kind::Number),
        ],
    },
    Table {
        name: "user_roles",
        columns: &[("id", Kind::Text), ("user_id", Kind::Text), ("tenant_id", Kind::Text), ("role", Kind::Text)],
    },
    Table {
        name: "sign_ins",
        columns: &[
            ("hash", Kind::Bytes),
            ("user_id", Kind::Text),
            ("created_us", Kind::Number),
            ("used_us", Kind::Number),
            ("expires_us", Kind::Number),
        ],
    },
    Table {
        name: "links",
        columns: &[
            ("hash", Kind::Bytes),
            ("purpose", Kind::Text),
            ("user_id", Kind::Text),
            ("created_us", Kind::Number),
            ("expires_us", Kind::Number),
        ],
    },
    Table { name: "once", columns: &[("name", Kind::Text), ("at_us", Kind::Number)] },
    Table { name: "root_check", columns: &[("id", Kind::Number), ("hash", Kind::Bytes)] },
    Table {
        name: "audit",
        columns: &[
            ("seq", Kind::Number),
            ("at_us", Kind::Number),
            ("tenant_id", Kind::Text),
            ("actor", Kind::Text),
            ("address", Kind::Text),
            ("action", Kind::Text),
            ("target", Kind::Text),
            ("outcome", Kind::Text),
            ("before", Kind::Text),
            ("after", Kind::Text),
        ],
    },
];

pub struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [(&'static str, Kind)],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Text,
    Bytes,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    Number(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

impl Table {
    pub(super) fn select(&self) -> String {
        let (key, _) = self.columns[0];
        format!("SELECT {} FROM {} WHERE {key} > $1 ORDER BY {key} LIMIT {BATCH}", self.names(), self.name)
    }

    pub(super) fn insert(&self) -> String {
        let values: Vec<String> = (1..=self.columns.len()).map(|n| format!("${n}")).collect();
        format!("INSERT INTO {} ({}) VALUES ({})", self.name, self.names(), values.join(", "))
    }

    fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// Before every key.
    pub(super) fn start(&self) -> Cell {
        match self.columns[0].1 {
            Kind::Number => Cell::Number(Some(i64::MIN)),
            Kind::Text => Cell::Text(Some(String::new())),
            Kind::Bytes => Cell::Bytes(Some(Vec::new())),
        }
    }
}

/// A database that is copied from.
#[async_trait]
pub trait Source: Send + Sync {
    /// The next rows after this key.
    async fn rows(&self, table: &Table, after: &Cell) -> Result<Vec<Vec<Cell>>>;
}
