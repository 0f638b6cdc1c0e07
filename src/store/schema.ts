/**
 * Version of the tables below, in the file's `user_version`. An index of another version is not converted but given up for a new
 * one: what it knew is found again from images and blobs, or built again.
 */
export const SCHEMA_VERSION = 5;

/**
 * Times are ms since the epoch. What a lease names is a row of (kind, name), kind being `layer`, `blob`, `mount` or `turn`. A list of
 * layers is a row of `stacks`, which names its topmost layer and the list beneath it ('' for none): `layers.parents`, what
 * a layer stood on when it was made, and `records.stack` are such.
 *
 * What builds say of themselves (`accounts`) has a row for each step, and names lists of what steps read by ids that are hashes.
 *
 * `layers.fs` is 0 without a directory, else how its files have owners (`DirectoryForm`).
 *
 * `sum` is a check sum over what a row says (`rowSum`), but for what is of account only: sizes and times of last use. A row that does
 * not have the sum it should have is not there. The value of a fact may be long and is last, as SQLite reads through it to what is behind.
 */
export const SCHEMA: string = `
CREATE TABLE layers (
  id TEXT PRIMARY KEY, parents TEXT NOT NULL DEFAULT '', diff_id TEXT,
  fs INTEGER NOT NULL DEFAULT 0, synced INTEGER NOT NULL DEFAULT 0, boot_id TEXT,
  stamp TEXT, type TEXT NOT NULL, description TEXT NOT NULL,
  bytes INTEGER NOT NULL DEFAULT 0, inodes INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL, used_at INTEGER NOT NULL, sum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE stacks (
  id TEXT PRIMARY KEY, parent TEXT NOT NULL, layer TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX stacks_by_parent ON stacks (parent);
CREATE TABLE layer_blobs (
  layer TEXT NOT NULL, digest TEXT NOT NULL, compression TEXT NOT NULL, media_type TEXT NOT NULL, size INTEGER NOT NULL,
  sum INTEGER NOT NULL, PRIMARY KEY (layer, digest)
) WITHOUT ROWID;
CREATE INDEX layer_blobs_by_digest ON layer_blobs (digest);
CREATE TABLE mounts (
  id TEXT PRIMARY KEY, description TEXT NOT NULL, bytes INTEGER NOT NULL DEFAULT 0, inodes INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL, used_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE sessions (id TEXT PRIMARY KEY, started_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE leases (id TEXT PRIMARY KEY, session TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE lease_names (
  lease TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (lease, kind, name)
) WITHOUT ROWID;
CREATE INDEX lease_names_by_name ON lease_names (kind, name);
CREATE TABLE links (
  source TEXT NOT NULL, op TEXT NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, selector TEXT NOT NULL,
  node TEXT NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (source, op, input, output, selector, node)
) WITHOUT ROWID;
CREATE INDEX links_by_node ON links (node);
CREATE TABLE records (
  id TEXT PRIMARY KEY, node TEXT NOT NULL, stack TEXT NOT NULL,
  created_at INTEGER NOT NULL, used_at INTEGER NOT NULL, sum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX records_by_node ON records (node);
CREATE TABLE record_blobs (record TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (record, digest)) WITHOUT ROWID;
CREATE INDEX record_blobs_by_digest ON record_blobs (digest);
CREATE TABLE accounts (
  id TEXT PRIMARY KEY, lineage TEXT NOT NULL, created_at INTEGER NOT NULL, sum INTEGER NOT NULL, value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE account_steps (
  account TEXT NOT NULL, position INTEGER NOT NULL, node TEXT NOT NULL, listings TEXT NOT NULL, sum INTEGER NOT NULL,
  value TEXT NOT NULL, PRIMARY KEY (account, position)
) WITHOUT ROWID;
CREATE TABLE listings (
  id TEXT PRIMARY KEY, children TEXT NOT NULL, sum INTEGER NOT NULL, value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE facts (
  kind TEXT NOT NULL, key TEXT NOT NULL, stored_at INTEGER NOT NULL, used_at INTEGER NOT NULL, sum INTEGER NOT NULL,
  value TEXT NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
`;
